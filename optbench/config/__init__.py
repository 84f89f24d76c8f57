"""The configuration: what may be said, in which type, and what contradicts what. No torch here."""
