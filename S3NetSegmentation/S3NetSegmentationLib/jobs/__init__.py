"""Work in a child process, so a crash or a stop does not harm the program."""
