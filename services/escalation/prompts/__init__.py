"""Prompts for frontier models and checks of their answers."""
