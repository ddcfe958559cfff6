"""The specialist `triage-peers` of triage."""
