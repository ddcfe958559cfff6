"""Signals: ratios that are unusual against earlier periods and other companies."""
