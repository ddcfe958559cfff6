"""Measurements: programs that print a table, none of them a test."""
