"""The region that belongs together around a click: a network fitted to a box around it."""
