"""The HTTP side of every service: application, errors, keys, limits, server."""
