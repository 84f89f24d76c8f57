"""The way into an optimizer's step.

It is walked at every step from a cold cache, which the step before has filled with tensors: Python
takes more than twice as long there as in a loop that does nothing else, and shows in the time of a
step over a million parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch.optim import Optimizer

from optbench.torch_internals import is_watched, mark_hooked, set_grad_enabled


def hooked_when_asked(step: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates the `step` of a subclass of `torch.optim.Optimizer`.

    torch wraps every `step` in its hooks and in a range of the profiler, which it enters even
    while nobody profiles. Here that is entered only where there is a hook or a profile; and not
    from the `step` of a subclass, which torch has wrapped already.
    """
    wrapped = Optimizer.profile_hook_step(step)

    @wraps(step)
    def plain_or_wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        asked = is_watched(self)
        # What torch wraps all has the same code.
        by_torch = asked and getattr(type(self).step, "__code__", None) is wrapped.__code__
        return (wrapped if asked and not by_torch else step)(self, *args, **kwargs)

    mark_hooked(plain_or_wrapped)
    return plain_or_wrapped


def without_gradients(update: Callable[..., Any]) -> Callable[..., Any]:
    """`torch.no_grad()` as a decorator, without the two objects that it makes at each call."""

    @wraps(update)
    def quiet(*args: Any) -> Any:
        before = torch.is_grad_enabled()
        set_grad_enabled(False)
        try:
            return update(*args)
        finally:
            set_grad_enabled(before)

    return quiet
