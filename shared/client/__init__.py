"""The typed client of the suite, imported as `smallprint`."""
