"""Operators that are fast on a CPU, and CUDA graphs."""
