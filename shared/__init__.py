"""Code that all services share. It depends on no service."""
