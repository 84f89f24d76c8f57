"""Optimizers around any other."""
