"""ZIP packages and XML, read within limits."""
