"""Which optimizer is better, by run folders alone: arms, pairs by seed, verdicts, warnings."""
