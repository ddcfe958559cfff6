"""What is noted of filings that were checked, and what another policy would do with them."""
