"""What is unusual in a report though it adds up: ratios against its own columns and its peers."""
