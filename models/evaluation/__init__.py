"""Metrics, calibration and cards that specialists share."""
