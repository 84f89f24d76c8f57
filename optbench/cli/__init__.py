"""The command line: verbs, and the way from argv through Hydra to a config. No torch at import."""
