"""Optimizers one after another."""
