"""Monitoring of the guarantee for findings: audit samples, drift, recalibration."""
