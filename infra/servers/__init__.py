"""Servers on this machine without Docker: Kafka, PostgreSQL, S3, and their supervisor."""
