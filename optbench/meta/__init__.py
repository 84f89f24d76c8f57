"""`optbench meta-train`: learned optimizers are trained, over a distribution of small tasks."""
