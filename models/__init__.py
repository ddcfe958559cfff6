"""The training side: programs that make the specialists which the services ship."""
