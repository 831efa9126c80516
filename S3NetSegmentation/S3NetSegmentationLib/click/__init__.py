"""Regions around a click, found by a network that is fitted to a box around it."""
