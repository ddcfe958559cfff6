"""The result of every reader: text, pages, boxes, tables, and limits."""
