"""`optbench probe`: instruments at a run's checkpoints; see probe.py."""
