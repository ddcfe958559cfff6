"""Triage: find what does not add up in a financial report, and explain it."""
