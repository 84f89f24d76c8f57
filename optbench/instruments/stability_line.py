"""Up to which curvature an optimizer's steps are stable on a quadratic."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Group = Mapping[str, Any]


@dataclass(frozen=True)
class Line:
    """The stability line of an optimizer at its present state.

    Steps along an eigenvector of P^-1 H, or of H where P is None, with an eigenvalue above `bound`
    over lr grow without end.

    Attributes:
        bound: 2 of gradient descent; of momentum and Adam more.
        formula: in words.
        decay: added to each diagonal entry of H: L2 regularisation.
        scales: for each parameter, the diagonal of P^-1; None is 1.
        rates: for each parameter its lr.
    """

    bound: float
    formula: str
    decay: float
    scales: list[Tensor] | None
    rates: list[float]


class NoLine(ValueError):
    """There is no line that is known; the text says why."""


def line_of(optimizer: torch.optim.Optimizer, parameters: list[Tensor]) -> Line:
    """Return an optimizer's stability line.

    Gradient descent: lr lambda = 2. Heavy ball: 2 (1 + beta); Nesterov: 2 (1 + beta) /
    (1 + 2 beta) (Cohen et al. 2021, appendix B). Adam and its like, of P^-1 H, where P is what
    the gradient is divided by: 2 (1 + beta1) / (1 - beta1) (Cohen et al. 2022, section 3).

    Args:
        optimizer: whose; its groups may have different learning rates, and nothing else.
        parameters: in the order of the matrix.

    Raises:
        NoLine: for another optimizer, or groups of different settings, or one that has not yet
            stepped.
    """
    whole = type(optimizer).__mro__
    kinds = [_KINDS[each.__name__] for each in whole if _steps_as(optimizer, each)]
    if not kinds:
        raise NoLine(
            f"no stability line of {type(optimizer).__name__} is known; of "
            f"{', '.join(_KINDS)} there is one"
        )
    found: dict[Tensor, tuple[_Said, float]] = {}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            said = kinds[0](group, optimizer.state.get(parameter, {}))
            found[parameter] = said, float(group["lr"])
    missing = [parameter for parameter in parameters if parameter not in found]
    if missing:
        raise NoLine("another optimizer steps some of the parameters")
    says = [found[parameter][0] for parameter in parameters]
    if len({(each.bound, each.decay) for each in says}) > 1:
        raise NoLine("its groups have different momenta or weight decays")
    first = says[0]
    scales = None
    if any(each.divisor is not None for each in says):
        if any(each.divisor is None for each in says):
            raise NoLine("its second moments are not there yet: it has not stepped")
        scales = [each.divisor.reciprocal() for each in says if each.divisor is not None]
    return Line(first.bound, first.formula, first.decay, scales, [found[p][1] for p in parameters])


def _steps_as(optimizer: torch.optim.Optimizer, known: type) -> bool:
    """Return whether a class has a line, and the optimizer its step, not one of its own."""
    if known.__name__ not in _KINDS:
        return False
    own = type(optimizer)
    return all(
        inspect.unwrap(getattr(own, name)) is inspect.unwrap(getattr(known, name))
        for name in ("step", "rule")
        if hasattr(known, name)
    )


@dataclass(frozen=True)
class _Said:
    """What one parameter's group and state say; `divisor` is what its gradient is divided by."""

    bound: float
    formula: str
    decay: float = 0.0
    divisor: Tensor | None = None


def _heavy_ball(group: Group, state: Mapping[str, Any]) -> _Said:
    beta, decay = float(group.get("momentum") or 0), float(group.get("weight_decay") or 0)
    dampening = 1 - float(group.get("dampening") or 0)
    if not beta:
        return _Said(2.0, "2 / lr", decay)
    if group.get("nesterov"):
        return _nesterov(group, state)
    bound = 2 * (1 + beta) / dampening if dampening else float("inf")
    less = f" / {dampening:g}" if dampening != 1 else ""
    return _Said(bound, f"2 (1 + {beta:g}){less} / lr", decay)


def _nesterov(group: Group, state: Mapping[str, Any]) -> _Said:
    beta, decay = float(group["momentum"]), float(group.get("weight_decay") or 0)
    bound = 2 * (1 + beta) / (1 + 2 * beta)
    return _Said(bound, f"2 (1 + {beta:g}) / (1 + 2 * {beta:g}) / lr", decay)


def _adam(group: Group, state: Mapping[str, Any]) -> _Said:
    beta1, beta2 = (float(beta) for beta in group["betas"])
    decoupled = bool(group.get("decoupled_weight_decay"))
    return _moments(group, state, beta1, beta2, 0.0 if decoupled else _decay(group))


def _adamw(group: Group, state: Mapping[str, Any]) -> _Said:
    beta1, beta2 = (float(beta) for beta in group["betas"])
    return _moments(group, state, beta1, beta2, 0.0)


def _decay(group: Group) -> float:
    return float(group.get("weight_decay") or 0)


def _moments(
    group: Group, state: Mapping[str, Any], beta1: float, beta2: float, decay: float
) -> _Said:
    bound = (2 + 2 * beta1) / (1 - beta1)
    formula = f"{bound:g} / lr, of P^-1 H"
    if "exp_avg_sq" not in state:
        raise NoLine("its second moments are not there yet: it has not stepped")
    taken = int(state.get("step", group.get("step", 0)))
    second = state["exp_avg_sq"] / (1 - beta2**taken)
    if group.get("amsgrad"):
        second = state["max_exp_avg_sq"] / (1 - beta2**taken)
    divisor = (second.sqrt() + float(group["eps"])) * (1 - beta1**taken)
    return _Said(bound, formula, decay, divisor)


def _amsgrad(group: Group, state: Mapping[str, Any]) -> _Said:
    said = _adamw(group, state)
    beta1, _ = group["betas"]
    taken = int(state.get("step", group.get("step", 0)))
    divisor = state["max_exp_avg_sq"].sqrt() + float(group["eps"])
    return _Said(said.bound, said.formula, 0.0, divisor * (1 - float(beta1) ** taken))


def _rmsprop(group: Group, state: Mapping[str, Any]) -> _Said:
    if "square_avg" not in state:
        raise NoLine("its second moments are not there yet: it has not stepped")
    second = state["square_avg"]
    if group.get("centered"):
        second = second - state["grad_avg"] ** 2
    beta = float(group.get("momentum") or 0)
    divisor = second.clamp_min(0).sqrt() + float(group["eps"])
    return _Said(2 * (1 + beta), f"{2 * (1 + beta):g} / lr, of P^-1 H", _decay(group), divisor)


def _adagrad(group: Group, state: Mapping[str, Any]) -> _Said:
    if "sum" not in state:
        raise NoLine("its second moments are not there yet: it has not stepped")
    divisor = state["sum"].sqrt() + float(group["eps"])
    later = 1 + max(0.0, float(state["step"]) - 1) * float(group.get("lr_decay") or 0)
    return _Said(2.0, "2 / lr, of P^-1 H", _decay(group), divisor * later)


_KINDS: dict[str, Callable[[Group, Mapping[str, Any]], _Said]] = {
    "SGD": _heavy_ball,
    "NAG": _nesterov,
    "Momentum": _heavy_ball,
    "HeavyBall": _heavy_ball,
    "AdamW": _adamw,
    "Adam": _adam,
    "AMSGrad": _amsgrad,
    "RMSprop": _rmsprop,
    "Adagrad": _adagrad,
}
"""By the name of an optimizer's class; those derived from others stand before them."""
