"""EML, MSG and archives: a text, and the documents within."""
