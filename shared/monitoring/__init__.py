"""Is what was promised kept? Tests of checks and of what comes in, and what follows from them."""
