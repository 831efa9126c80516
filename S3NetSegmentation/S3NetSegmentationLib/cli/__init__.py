"""The command line, one module per command."""

from .program import main

__all__ = ["main"]
