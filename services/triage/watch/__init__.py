"""Is what is promised about findings kept? Checks, figures of filings, and what follows."""
