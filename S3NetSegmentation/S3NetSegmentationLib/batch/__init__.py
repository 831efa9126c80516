"""Many scans: found, named, segmented each in a process of its own, tabled and reported."""
