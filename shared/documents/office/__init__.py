"""DOCX, ODT, RTF and HTML."""
