"""What the training has to know of an optimizer besides its groups and its state."""

from __future__ import annotations

import inspect

import torch


def traits(optimizer: torch.optim.Optimizer) -> frozenset[str]:
    """Words that no signature tells.

    closure          `step` evaluates the loss itself
    once             so it does, once a step, for the gradient; it never compares two losses
    create_graph     gradients have to be differentiable
    hessian_vector   the closure needs the method `hessian_vector`
    no_lr            it has no learning rate
    divides_by_lr    it fails at an lr of 0
    """
    return getattr(optimizer, "traits", frozenset())


def needs_closure(optimizer: torch.optim.Optimizer) -> bool:
    """Whether `step` can't do without a closure, as L-BFGS's."""
    if "closure" in traits(optimizer):
        return True
    # Looked up on the class: torch.optim wraps the instance's method.
    closure = inspect.signature(type(optimizer).step).parameters.get("closure")
    return closure is not None and closure.default is inspect.Parameter.empty
