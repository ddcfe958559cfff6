"""People: named users with a role, who sign in by password or OpenID Connect."""
