"""Find the newest version of a shipped artefact, and read its manifest."""
