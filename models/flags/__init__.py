"""The training side of `narrative-flags`."""
