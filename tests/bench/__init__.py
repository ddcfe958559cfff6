"""Benchmarks: programs that print a table. None of them is a test."""
