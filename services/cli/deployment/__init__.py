"""The deployment on this machine: its folder, address, lock, databases and policy."""
