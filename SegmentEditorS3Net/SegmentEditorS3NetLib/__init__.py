"""The effect "S3-Net" of Segment Editor."""
