"""Extraction: finds the clauses of contracts, with the evidence for each."""
