"""The learned part of triage: errors are put into sound filings, and a forest learns them."""
