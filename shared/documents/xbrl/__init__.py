"""XBRL instances and inline XBRL."""
