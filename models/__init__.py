"""Programs that train the specialists which the services ship."""
