"""Questions that waited too long for their turn, and go with a batch instead."""
