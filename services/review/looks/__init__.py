"""What a check looks like while it waits, as the database has it."""
