"""Read scans and pictures, write results."""
