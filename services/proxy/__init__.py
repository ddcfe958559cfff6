"""The reverse proxy in front of the services: one origin, their probes, their metrics."""
