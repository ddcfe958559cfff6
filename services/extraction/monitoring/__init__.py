"""Monitoring of the guarantee for clauses: audit samples, drift, recalibration."""
