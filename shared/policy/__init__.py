"""The policy file, and the statistics behind stated risks."""
