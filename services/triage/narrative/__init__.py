"""Narrative flags: sentences about going concern, weaknesses, investigations, related parties."""
