"""Around the suite: broker, reverse proxy, packaging, decisions and runbooks."""
