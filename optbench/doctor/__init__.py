"""`optbench doctor`: what looks wrong in runs, from their folders alone. No torch."""
