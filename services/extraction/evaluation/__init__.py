"""The legal metric, and the comparison with a frontier model."""
