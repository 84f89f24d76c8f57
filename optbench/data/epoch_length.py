"""How many steps an epoch has; no torch, so that what is drawn without a training knows too."""

from __future__ import annotations


def steps_per_epoch(examples: int, batch_size: int, lanes: bool = False) -> int:
    """Return the steps of a pass over so many examples.

    Args:
        examples: in the training set.
        batch_size: examples in a step; the last step of an epoch has what is left over.
        lanes: whether what does not fill a batch is left out instead; see `BatchStream`.

    Example:
        >>> steps_per_epoch(100, 30), steps_per_epoch(100, 30, lanes=True)
        (4, 3)
    """
    return examples // batch_size if lanes else -(-examples // batch_size)
