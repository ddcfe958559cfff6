"""Lines, tables and progress on the terminal."""
