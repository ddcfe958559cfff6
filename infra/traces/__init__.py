"""Traces seen whole: a small collector, a road for one document, and a picture of what it took."""
