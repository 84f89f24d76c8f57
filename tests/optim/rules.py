"""The table of our rules, the problems that they are tried on, and their paths.

A row: the transcription, the settings it is tried with besides the defaults, and how far (relative)
the two may part over 50 steps in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from optbench.assemble.create import locate

from . import references
from .problem import SHARED, data, network, node_of
from .references import Slow, Update

Loss = Callable[[], Tensor]
Problem = Callable[[torch.dtype], tuple[list[nn.Parameter], Loss]]
DECAYED = {"weight_decay": 0.1}
STEPS = 50
BASE_LR = 0.01
"""The lr that every trajectory starts from, before a schedule."""
EXACT, ADAPTIVE = 1e-13, 1e-9
"""Dividing by the root of small squares makes a rounding error grow."""


@dataclass(frozen=True)
class Row:
    """See the top of the file."""

    update: Update
    variants: Sequence[dict[str, Any]] = ()
    tolerance: float = ADAPTIVE
    look_ahead: bool = False


ROWS = {
    "heavy_ball": Row(references.heavy_ball, [{"momentum": 0.99}], tolerance=EXACT),
    "momentum": Row(references.momentum, [{"momentum": 0.5}, {"momentum": 0.0}], tolerance=EXACT),
    "nag": Row(references.momentum, [{"momentum": 0.5}], look_ahead=True, tolerance=EXACT),
    "adagrad_eps_inside": Row(
        references.adagrad_eps_inside, [{"initial_accumulator_value": 0.1}, {"eps": 1e-4}]
    ),
    "rmsprop_eps_inside": Row(references.rmsprop_eps_inside, [{"alpha": 0.99}, {"eps": 1e-4}]),
    "amsgrad": Row(references.amsgrad, [{"betas": [0.5, 0.9]}, {"eps": 1e-4}]),
    "adabound": Row(references.adabound, [{"final_lr": 1.0, "gamma": 0.1}, {"eps": 1e-4}]),
    "amsbound": Row(references.amsbound, [{"final_lr": 1.0, "gamma": 0.1}]),
    "lion": Row(references.lion, [{"betas": [0.5, 0.9]}], tolerance=EXACT),
    "adabelief": Row(references.adabelief, [{"betas": [0.5, 0.9]}, {"eps": 1e-6}]),
    "adan": Row(references.adan, [{"betas": [0.5, 0.8, 0.9]}, {"eps": 1e-4}]),
    "lamb": Row(references.lamb, [{"betas": [0.5, 0.9]}, {"eps": 1e-2}]),
    "lars": Row(references.lars, [{"momentum": 0.5}, {"trust_coefficient": 0.1}], tolerance=EXACT),
}


def classification(dtype: torch.dtype) -> tuple[list[nn.Parameter], Loss]:
    """The network of the other tests."""
    module = network(dtype)
    inputs, targets = data(dtype)
    return list(module.parameters()), lambda: cross_entropy(module(inputs), targets)


def quadratic(dtype: torch.dtype) -> tuple[list[nn.Parameter], Loss]:
    """A matrix and a vector under a quadratic of condition number 100."""
    spectrum = torch.logspace(-2, 0, 6, dtype=dtype)
    weights = [nn.Parameter(torch.ones(4, 6, dtype=dtype)), nn.Parameter(spectrum.clone())]
    return weights, lambda: sum((spectrum * w * w).sum() for w in weights) / 2  # type: ignore[return-value]


def rosenbrock(dtype: torch.dtype) -> tuple[list[nn.Parameter], Loss]:
    """Rosenbrock's valley, scaled so that SGD's steps stay in it."""
    point = nn.Parameter(torch.tensor([-1.2, 1.0], dtype=dtype))
    return [point], lambda: ((1 - point[0]) ** 2 + 100 * (point[1] - point[0] ** 2) ** 2) / 100


PROBLEMS: dict[str, Problem] = {
    "classification": classification,
    "quadratic": quadratic,
    "rosenbrock": rosenbrock,
}


def ours(name: str, parameters: Any, implementation: str = "foreach", **changes: Any) -> Any:
    """A YAML's class with the YAML's settings, but for the lr that all start from."""
    node = {**node_of(name), "lr": BASE_LR, **changes}
    cls = locate(node["_target_"], "")
    keys = [k for k in node if not k.startswith("_")]
    keys = [k for k in keys if k not in SHARED]
    return cls(parameters, implementation=implementation, **{k: node[k] for k in keys})


def path(
    optimizer: Any,
    parameters: Sequence[nn.Parameter],
    loss: Loss,
    steps: int = STEPS,
    scheduled: bool = True,
    shift: Callable[[], Sequence[Tensor]] | None = None,
) -> Tensor:
    """The weights after each step, [steps, n]; the lr falls on the way."""

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    found = []
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = BASE_LR * (1 - step / 100 if scheduled else 1)
        if shift is not None:
            away(parameters, shift(), -1)
            closure()
            away(parameters, shift(), 1)
            optimizer.step()
        else:
            optimizer.step(closure)
        found.append(nn.utils.parameters_to_vector(parameters).detach().clone())
    return torch.stack(found)


@torch.no_grad()
def away(parameters: Sequence[nn.Parameter], by: Sequence[Tensor], sign: int) -> None:
    for parameter, shift in zip(parameters, by, strict=True):
        parameter.add_(shift, alpha=sign)


def slow_path(name: str, problem: Problem, **changes: Any) -> Tensor:
    """The transcription's."""
    row = ROWS[name]
    parameters, loss = problem(torch.float64)
    node = {k: v for k, v in node_of(name).items() if not k.startswith("_")}
    for key in SHARED:
        node.pop(key)
    slow = Slow(row.update, parameters, **{**node, **changes, "lr": BASE_LR})

    def velocities() -> list[Tensor]:
        gamma = slow.settings["momentum"]
        return [gamma * s.get("v", torch.zeros(1)) for s in slow.states]

    class Called:
        param_groups, zero_grad = slow.param_groups, staticmethod(slow.zero_grad)

        @staticmethod
        def step(closure: Callable[[], Any] | None = None) -> None:
            if closure is not None:
                closure()
            slow.step()

    return path(Called, parameters, loss, shift=velocities if row.look_ahead else None)
