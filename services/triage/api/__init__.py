"""The routes of triage."""
