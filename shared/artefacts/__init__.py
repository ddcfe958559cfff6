"""How a service finds the newest version of a shipped artefact and reads its manifest."""
