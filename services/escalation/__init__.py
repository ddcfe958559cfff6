"""Escalation: the only way to a frontier model. Without a policy nothing is asked."""
