"""Monitoring of risk guarantees: tests of decisions and documents, and their effects."""
