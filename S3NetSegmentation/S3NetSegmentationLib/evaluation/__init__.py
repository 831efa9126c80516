"""Quality of a segmentation, measured against a reference."""
