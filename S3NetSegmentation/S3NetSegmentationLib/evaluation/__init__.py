"""How good a segmentation is, measured against a reference."""
