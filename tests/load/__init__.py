"""How much the suite bears on this machine, by a known generator of load: `make load`."""
