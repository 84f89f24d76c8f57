"""Where many runs are done: in this process, in several, by SLURM or Ray."""
