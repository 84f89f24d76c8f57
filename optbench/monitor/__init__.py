"""What measures a run and where the measurements go. It reads; it never changes the run."""
