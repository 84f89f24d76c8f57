"""Optimizers that compare losses of a population, and ask for no gradients."""
