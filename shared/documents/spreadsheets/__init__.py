"""Workbooks and delimited files, as tables."""
