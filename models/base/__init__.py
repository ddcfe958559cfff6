"""The INT4 base: its graph, its quantisation, and its full-precision twin."""
