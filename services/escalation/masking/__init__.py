"""Masks names and amounts in text for external providers."""
