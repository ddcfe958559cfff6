"""Measure how much load the suite can bear on this machine: `make load`."""
