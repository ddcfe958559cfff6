"""Pages of PDFs and pictures: their text in reading order, by layout or OCR."""
