"""Settings for tests that are not about how well a network of full size does."""

from S3NetSegmentationLib.settings import Settings

SMALL_NETWORK = {"device": "cpu", "channels": 8, "clusters": 8}

QUICK = Settings(**SMALL_NETWORK, working_size=64, fitted_slices=4, iterations=12)
"""Enough for the lungs of a phantom, in about a second."""
