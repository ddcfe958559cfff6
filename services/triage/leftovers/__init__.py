"""What an older program leaves of a report that is gone, and how that is removed.

While a release is rolled out, processes of the one before handle events although the databases are
migrated. They know nothing of tables that are new to them: of a report that one of them deletes,
or notes to be of another kind, there would stay what was noted of its filings, what people would be
asked about it, and the secret name of its company.
"""
