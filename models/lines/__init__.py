"""The specialist `line-concepts`: which us-gaap concept a line of a statement is."""
