"""Triage: finds what does not add up in a financial report, and says why."""
