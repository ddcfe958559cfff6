"""What happens with a clause: routes, and stated shares of missed ones."""
