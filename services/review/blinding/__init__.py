"""Blinding: undecided audit samples look like other items."""
