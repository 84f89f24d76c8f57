"""What a `step` of one's own needs, above all one that calls another class's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from optbench import torch_internals


def evaluated(closure: Callable[[], Any] | None) -> Any:
    """Return the loss of a closure, with gradients; None without one."""
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()


def unhooked(cls: Any) -> Any:
    """Return a class's `step` as it was written.

    torch puts the step hooks around the `step` of every class that an optimizer was made of. One
    that calls another class's would run them twice then.
    """
    return torch_internals.unhooked(cls.step)


class Elsewhere:
    """An objective whose loss and gradients are taken elsewhere; what else it can is its own.

    Args:
        objective: a closure, maybe with methods such as `hvp`.
        evaluate: what is called in its place.
    """

    def __init__(self, objective: Callable[[], Any], evaluate: Callable[[], Any]) -> None:
        self._objective, self._evaluate = objective, evaluate

    def __call__(self) -> Any:
        return self._evaluate()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._objective, name)
