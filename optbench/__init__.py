"""optbench: a command-line experiment runner for optimization algorithms in deep learning."""

__version__ = "0.1.0"
