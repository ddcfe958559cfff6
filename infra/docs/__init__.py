"""Generators of reference pages, schemas and pictures."""
