"""What a report says of its filer in words: doubt, weakness, investigation, related parties."""
