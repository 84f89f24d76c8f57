"""Learned optimizers: an update rule that was trained, with its weights in a file."""
