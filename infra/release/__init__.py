"""Make the files of a release: field bundle and bill of materials."""
