"""Text that flows: paragraphs, lists, numerals, pictures within it."""
