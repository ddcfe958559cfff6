"""The specialist `triage-breaks`: a forest that learns from errors injected into sound filings."""
