"""The client report: the results and decisions of one document, for print and as DOCX."""
