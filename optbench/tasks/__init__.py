"""What is minimised and how it is scored, one file per task."""
