"""Make the files of a release: wheel, field bundle and bill of materials."""
