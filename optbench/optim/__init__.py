"""Optimizers that torch does not have, and what all optimizers share. Imports torch only."""
