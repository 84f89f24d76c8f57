"""Which way a metric is better, as its name says. No torch."""

from __future__ import annotations

LESS_IS_BETTER = (
    "loss",
    "error",
    "gap",
    "distance",
    "wasserstein",
    "perplexity",
    "bits_per_character",
    "kl",
    "reconstruction",
)
"""Ends of the names of metrics that are better when they are less."""


def mode_by_name(metric: str) -> str:
    """Return `min` or `max`.

    Example:
        >>> mode_by_name("val/loss"), mode_by_name("test/accuracy")
        ('min', 'max')
    """
    return "min" if metric.endswith(LESS_IS_BETTER) else "max"
