"""Financial statements as plain data."""
