"""Runs: one in its folder, many of a sweep, one that is gone on with; and what they came to."""
