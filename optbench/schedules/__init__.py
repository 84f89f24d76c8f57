"""Learning rate schedules: one file per family, each a pure function of the step."""
