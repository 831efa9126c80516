"""Between the MRML scene and the engine: volume node in, segmentation and tables out."""
