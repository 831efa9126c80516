"""Work in a child process, which a fault or a stop can end without harm to the program."""
