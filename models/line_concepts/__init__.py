"""The specialist `line-concepts` of triage."""
