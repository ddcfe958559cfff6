"""Routing of findings: routes, questions, risk control."""
