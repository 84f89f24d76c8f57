"""Runs as one page to be looked at: leaderboard, curves, settings. No torch."""
