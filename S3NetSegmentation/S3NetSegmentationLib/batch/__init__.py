"""Many scans: find, name, and segment them, each in its own process; table and report."""
