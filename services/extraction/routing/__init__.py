"""Routing of clauses: accept or review, and guarantees for missed clauses."""
