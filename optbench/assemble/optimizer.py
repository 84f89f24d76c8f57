"""An optimizer from its node: parameter groups, companion, implementation."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

import torch
from torch import nn

from optbench.assemble.create import arguments, call, kind_of, locate, parameters_of
from optbench.assemble.zoo import resolved, with_needs
from optbench.config.reserved import OF_A_COMPANION, own_arguments
from optbench.errors import UserError
from optbench.optim.combined import Combined
from optbench.optim.groups import every_group, norms_and_biases, parameter_groups
from optbench.optim.layers import layer_factors
from optbench.optim.needs import Needs, needs_of, wants_module
from optbench.optim.still import hold_still
from optbench.torch_internals import past_the_compiler, take_step

Named = list[tuple[str, nn.Parameter]]


@dataclass(frozen=True)
class Built:
    """An optimizer, and which implementation of its step runs: loop, foreach, fused or compiled."""

    optimizer: torch.optim.Optimizer
    implementation: str


@past_the_compiler()
def build_optimizer(
    node: Mapping[str, Any],
    module: nn.Module,
    device: torch.device,
    lr_factor: float = 1.0,
    run: Mapping[str, int] | None = None,
    among: Collection[str] | None = None,
) -> Built:
    """Return the optimizer of a node over a module's parameters.

    Args:
        node: the config's `optimizer`.
        module: whose parameters that want gradients are optimized.
        device: where they are.
        lr_factor: what every learning rate is multiplied with.
        run: its `num_iterations` and `num_data`, which some optimizers want to know.
        among: names of the parameters that it may have; None: all.

    Raises:
        UserError: whatever does not fit together.
    """
    node = resolved(node, module, run)
    wanting = [(n, p) for n, p in module.named_parameters() if p.requires_grad]
    named = [(n, p) for n, p in wanting if among is None or n in among]
    if not node.get("takes"):
        _check_patterns(node, wanting)
        return _one(node, named, module, device, lr_factor)
    taken = call(locate(str(node["takes"]), "optimizer.takes"), "optimizer", module)
    mine = [(n, p) for n, p in named if n in taken]
    rest = [(n, p) for n, p in named if n not in taken]
    if not mine:
        raise UserError(
            f"optimizer={node['_target_']}: the model has no parameter that it can take "
            f"({str(node['takes']).rpartition('.')[2]}); try optimizer=adamw"
        )
    _check_patterns(node, wanting)
    companion = {**{k: node[k] for k in OF_A_COMPANION if k in node}, **node["companion"]}
    parts = [_one(node, mine, module, device, lr_factor)]
    if rest:
        parts.append(_one(companion, rest, module, device, lr_factor))
    combined = call(Combined, "optimizer.companion", [part.optimizer for part in parts])
    return Built(combined, " and ".join(part.implementation for part in parts))


def _one(
    node: Mapping[str, Any],
    named: Named,
    module: nn.Module,
    device: torch.device,
    lr_factor: float,
) -> Built:
    cls = locate(str(node["_target_"]), "optimizer._target_")
    own = arguments(own_arguments(node), "optimizer") | node.get("_arguments_", {})
    given = _tuples(own)
    if "lr" in own:
        given |= _rate(given.pop("lr"), cls, lr_factor)
    patterns = _by_layer(node, named, module, given.get("lr"))
    patterns += [_scaled(p, lr_factor) for p in node["groups"] if _matches(p, named)]
    groups = parameter_groups(named, patterns, _undecayed(node, module))
    asked = str(node["implementation"])
    if len(groups) == 1 and set(groups[0]) == {"params", "param_names"}:
        groups = [{"params": groups[0]["params"]}]  # L-BFGS takes no groups with settings
    implementation, flags = choose_implementation(cls, asked, device)
    first = module if node.get("_module_") else groups
    if wants_module(cls):
        given["module"] = module
    made = call(cls, "optimizer", first, **given, **flags)
    if not isinstance(made, torch.optim.Optimizer):
        raise UserError(
            f"optimizer._target_={node['_target_']}: gives {kind_of(made)}; "
            "expected a torch.optim.Optimizer"
        )
    if not hasattr(made, "param_groups"):
        raise UserError(
            f"optimizer._target_={node['_target_']}: has no param_groups; its __init__ has to call "
            "super().__init__(params, defaults)"
        )
    optimizer = with_needs(made, node)
    hold_still(optimizer)
    return Built(optimizer, implementation)


def _rate(lr: Any, cls: Any, lr_factor: float) -> dict[str, Any]:
    """Return the learning rate as an argument; none for a class that has none."""
    said = getattr(cls, "needs", None)
    if not (isinstance(said, Needs) and not said.lr):
        return {"lr": lr * lr_factor}
    if lr is not None:
        raise UserError(f"optimizer.lr={lr}: {cls.__name__} has no learning rate")
    return {}


def _by_layer(
    node: Mapping[str, Any], named: Named, module: nn.Module, lr: float | None
) -> list[dict[str, Any]]:
    decay = node["layer_decay"]
    if decay == 1.0:
        return []
    if lr is None:
        raise UserError(f"optimizer.layer_decay={decay}: needs optimizer.lr")
    factors = layer_factors(module, decay)
    return [{"params": name, "lr": lr * factors[name]} for name, _ in named if factors[name] < 1]


def _scaled(pattern: Mapping[str, Any], lr_factor: float) -> dict[str, Any]:
    settings = _tuples(pattern)
    if "lr" in pattern:
        settings["lr"] = pattern["lr"] * lr_factor
    return settings


def _tuples(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Turn lists into tuples, which is what torch wants of betas."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}


def _matches(pattern: Mapping[str, Any], named: Named) -> bool:
    return any(fnmatchcase(name, str(pattern["params"])) for name, _ in named)


def _check_patterns(node: Mapping[str, Any], named: Named) -> None:
    for pattern in node["groups"]:
        if not _matches(pattern, named):
            names = ", ".join(name for name, _ in named[:8])
            more = ", ..." if len(named) > 8 else ""
            raise UserError(
                f"optimizer.groups: params={pattern['params']} matches no parameter; "
                f"there are {names}{more}"
            )


def _undecayed(node: Mapping[str, Any], module: nn.Module) -> set[str]:
    if node["decay_norm_and_bias"]:
        return set()
    if "weight_decay" not in node:
        raise UserError(
            f"optimizer.decay_norm_and_bias=false: {node['_target_']} has no weight_decay"
        )
    return norms_and_biases(module)


def choose_implementation(cls: Any, asked: str, device: torch.device) -> tuple[str, dict[str, Any]]:
    """Return which implementation of a step runs, and the arguments that say so to torch.

    Args:
        cls: the optimizer's class; `implementations`, or `foreach` and `fused` among its arguments,
            tell what it has.
        asked: `auto` takes fused where it runs, else torch's own choice.
        device: of the parameters.

    Raises:
        UserError: the class does not have what was asked for.
    """
    own = getattr(cls, "implementations", None)
    if own is not None:
        return _of_ours(cls, asked, own)
    if asked == "auto" and _is_third_party(cls):
        return "its own", {}
    has = [name for name in ("foreach", "fused") if name in parameters_of(cls)]
    if asked in ("foreach", "fused", "compiled") and asked not in has:
        raise UserError(
            f"optimizer.implementation={asked}: {cls.__name__} has only {', '.join(['loop', *has])}"
        )
    if asked == "fused" and not _fused_runs(cls, device.type):
        raise UserError(
            f"optimizer.implementation=fused: {cls.__name__} has none for {device.type} here; "
            "use implementation=auto"
        )
    if asked == "fused" or (asked == "auto" and "fused" in has and _fused_runs(cls, device.type)):
        return "fused", {"fused": True}
    if asked == "auto":
        return ("foreach" if "foreach" in has and device.type == "cuda" else "loop"), {}
    return asked, ({"foreach": asked == "foreach"} if "foreach" in has else {})


def _is_third_party(cls: Any) -> bool:
    """Return whether others than torch and we wrote some of it, who have their own default."""
    bases = getattr(cls, "__mro__", (cls,))  # what is called may be no class
    wrote = {str(base.__module__).partition(".")[0] for base in bases}
    return not wrote <= {"torch", "optbench", "builtins"}


def _of_ours(cls: Any, asked: str, own: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Return the implementation of an optimizer made from a rule, and the arguments that say so."""
    chosen = "foreach" if asked == "auto" else asked
    if chosen not in own:
        raise UserError(
            f"optimizer.implementation={asked}: {cls.__name__} has only {', '.join(own)}"
        )
    return chosen, {"implementation": chosen}


@lru_cache
def _fused_runs(cls: Any, device: str) -> bool:
    """Try whether fused runs, on one number: that differs by optimizer, device and version."""
    parameter = nn.Parameter(torch.zeros(1, device=device))
    parameter.grad = torch.zeros_like(parameter)
    try:
        take_step(cls([parameter], lr=0.1, fused=True))
    except (RuntimeError, NotImplementedError, TypeError, ValueError):
        return False
    return True


def lr_factor(rule: str, batch_size: int, base_batch_size: int) -> float:
    """Return the factor by which a learning rate follows the batch size.

    Args:
        rule: `none`; `linear` (Goyal et al. 2017, section 2.1); `sqrt` (Krizhevsky 2014,
            section 5), which suits Adam (Malladi et al. 2022).
    """
    ratio = batch_size / base_batch_size
    factors: dict[str, float] = {"none": 1.0, "linear": ratio, "sqrt": ratio**0.5}
    return factors[rule]


def check_schedule(
    node: Mapping[str, Any], optimizer: torch.optim.Optimizer, schedule: Any, changes_lr: bool
) -> None:
    """Refuse a schedule that would have no effect on this optimizer, or that it can't follow."""
    if changes_lr and not needs_of(optimizer).lr:
        raise UserError(
            f"schedule: {type(optimizer).__name__} has no learning rate; "
            "only schedule=constant without warmup makes sense"
        )
    if node.get("lr_is_initial") and changes_lr:
        raise UserError(
            f"schedule: {node['_target_']} reads lr once, at its first step; "
            "only schedule=constant without warmup makes sense"
        )
    cycles = getattr(schedule, "momentum", None)
    if cycles is None or cycles(0, 1) is None:
        return
    groups: Sequence[dict[str, Any]] = every_group(optimizer)
    if not all("betas" in group or "momentum" in group for group in groups):
        raise UserError(
            f"schedule.cycle_momentum=true: {node['_target_']} has no momentum; "
            "set schedule.cycle_momentum=false"
        )
