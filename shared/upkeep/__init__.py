"""What is done with a whole place at once: whether all of it agrees, backups and their way back."""
