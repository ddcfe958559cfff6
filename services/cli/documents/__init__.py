"""Reading documents on this machine, one file or a folder at a time."""
