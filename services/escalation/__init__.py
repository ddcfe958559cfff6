"""Escalation: the only door to a frontier model. Without a policy it is shut."""
