"""The services of the suite, and the command line that joins them."""
