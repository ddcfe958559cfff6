"""Experiments with training techniques for clause specialists, all without fold 0."""
