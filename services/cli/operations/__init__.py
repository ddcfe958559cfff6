"""Backup, restore, verify and dead letters of a whole deployment."""
