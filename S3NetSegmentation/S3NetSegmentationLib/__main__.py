"""``python -m S3NetSegmentationLib``: the command `s3net`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
