"""The command line, one module a command."""

from .program import main

__all__ = ["main"]
