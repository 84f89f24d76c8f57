"""Overrides and config files to a checked config of one run, or of many; Hydra lives here."""
