"""Escalation: the only door to a frontier model. No provider is configured: the door is shut."""
