"""What may be concluded of few runs: tests and intervals. No torch."""
