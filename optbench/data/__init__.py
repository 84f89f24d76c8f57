"""Data sets: loaded with numpy alone, opened as streams of ready-made tensor batches."""
