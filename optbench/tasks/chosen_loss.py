"""A loss that a user chose in place of a task's own."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

Loss = Callable[[Tensor, Tensor], Tensor]


def mean_loss(loss: Loss, outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean over examples of a loss that gives a number for each of them, or their mean.

    Args:
        loss: called with (outputs, targets); a module's buffers go where the outputs are.

    Raises:
        ValueError: it gives something else.
    """
    if isinstance(loss, nn.Module) and any(b.device != outputs.device for b in loss.buffers()):
        loss.to(outputs.device)
    found = loss(outputs, targets)
    if not isinstance(found, Tensor) or (found.ndim and len(found) != len(targets)):
        shape = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise ValueError(f"the loss gives {shape}, not a number for each of {len(targets)}")
    return found.mean()
