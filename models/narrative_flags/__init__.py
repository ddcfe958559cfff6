"""The specialist `narrative-flags` of triage."""
