"""How long documents are kept, by tenant and kind, and what is known of those that are gone."""
