"""The relations that should hold in a statement, and where they break."""
