"""The us-gaap concept of each line of a statement."""
