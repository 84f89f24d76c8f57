"""What an optimizer needs of a step besides gradients, its groups and its state."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

import torch

Evaluations = Literal["none", "once", "many"]
_ORDER: tuple[Evaluations, ...] = ("none", "once", "many")
Fisher = Literal["none", "empirical", "sampled"]
_FISHERS: tuple[Fisher, ...] = ("none", "empirical", "sampled")


@dataclass(frozen=True)
class Needs:
    """What no signature tells of an optimizer; it says so in its attribute `needs`.

    Attributes:
        objective: how `step` uses the closure, which is the step's objective: `none` (gradients
            are there when it is called), `once` (for the gradient, at a point of its choice; it
            never compares two losses) or `many`.
        gradients: it asks the objective for gradients; without them it compares losses alone.
        module: its class takes the whole model as the argument `module`.
        create_graph: gradients have to be differentiable.
        hvp: it asks the objective for products with the Hessian, `objective.hvp`.
        ggn: it asks for products with the Gauss-Newton or the empirical Fisher matrix.
        own_gradient: its gradients have to be the loss's own, neither clipped nor centred.
        fisher: it asks the objective what goes into layers and which gradients come back to them,
            `objective.capture`, of the loss, which has to be the criterion of one model's outputs;
            `sampled`: of targets drawn from what the model predicts, `objective.drawn`.
        lr: it has a learning rate.
        divides_by_lr: it fails at a learning rate of 0.

    Example:
        >>> class Mine(torch.optim.Optimizer):
        ...     needs = Needs(objective="once", hvp=True)
    """

    objective: Evaluations = "none"
    gradients: bool = True
    module: bool = False
    create_graph: bool = False
    hvp: bool = False
    ggn: bool = False
    own_gradient: bool = False
    fisher: Fisher = "none"
    lr: bool = True
    divides_by_lr: bool = False

    @property
    def closure(self) -> bool:
        """Whether `step` has to be given the objective."""
        return self.objective != "none"


def needs_of(optimizer: torch.optim.Optimizer) -> Needs:
    """Return what an optimizer needs: what it says, and what torch or its signature tells.

    One whose `step` can't do without a closure, and that says nothing of it, counts as evaluating
    the loss `many` times.
    """
    said = getattr(optimizer, "needs", None)
    needs = said if isinstance(said, Needs) else Needs()
    if isinstance(optimizer, torch.optim.LBFGS):
        needs = replace(needs, divides_by_lr=True)
    # The class's step: torch.optim wraps the instance's.
    if not needs.closure and _demands_closure(type(optimizer).step):
        needs = replace(needs, objective="many")
    return needs


def wants_module(cls: Any) -> bool:
    """Return whether a class is given the whole model, as its argument `module`."""
    said = getattr(cls, "needs", None)
    return isinstance(said, Needs) and said.module


def together(needs: Iterable[Needs]) -> Needs:
    """Return all that any of several needs."""
    several = list(needs)
    return Needs(
        objective=max((each.objective for each in several), key=_ORDER.index, default="none"),
        gradients=all(each.gradients for each in several),
        module=any(each.module for each in several),
        create_graph=any(each.create_graph for each in several),
        hvp=any(each.hvp for each in several),
        ggn=any(each.ggn for each in several),
        own_gradient=any(each.own_gradient for each in several),
        fisher=max((each.fisher for each in several), key=_FISHERS.index, default="none"),
        lr=all(each.lr for each in several),
        divides_by_lr=any(each.divides_by_lr for each in several),
    )


@cache
def _demands_closure(step: Callable[..., Any]) -> bool:
    closure = inspect.signature(step).parameters.get("closure")
    return closure is not None and closure.default is inspect.Parameter.empty
