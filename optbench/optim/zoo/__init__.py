"""Optimizers of pytorch-optimizer that a trainer can't step as they are, made so that it can.

Each is a subclass of the library's, under its name; `config/zoo.csv` names it as the class.
"""

from __future__ import annotations

from typing import Any


def unhooked(cls: Any) -> Any:
    """A class's `step` as it was written.

    torch puts the step hooks around the `step` of every class that an optimizer was made of. One
    that calls another class's would run them twice then.
    """
    step = cls.step
    return step.__wrapped__ if getattr(step, "hooked", False) else step
