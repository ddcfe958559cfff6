"""Read statements from documents: tables of any format, and one reader from table to statement."""
