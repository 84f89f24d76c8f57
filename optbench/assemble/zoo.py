"""Optimizers that are named in the config: the zoo's, and a user's own class."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import nn

from optbench.assemble.create import locate
from optbench.config.reserved import OF_NAMED, OURS, own_arguments
from optbench.config.zoo import FROM_THE_RUN, Entry, entry_of, no_argument
from optbench.errors import UserError
from optbench.optim.groups import hidden_matrices
from optbench.optim.needs import Needs, needs_of, together

_COMPANION = {
    **{"_target_": "torch.optim.AdamW", "lr": 1e-3, "betas": [0.9, 0.999]},
    **{"eps": 1e-8, "weight_decay": 1e-2},
}


def resolved(
    node: Mapping[str, Any], module: nn.Module, run: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """Turn a node of `zoo` or `custom` into one that names its class and that class's arguments.

    Others are returned as they are. Keys that begin with `_` say how to make the optimizer.

    Args:
        node: the config's `optimizer`.
        module: whose parameters it will have.
        run: `num_iterations` and `num_data`, for those that want them.

    Raises:
        UserError: the library is missing, or the class takes no such argument.
    """
    if "arguments" not in node:
        return dict(node)
    entry = entry_of(node)
    plain = {k: v for k, v in node.items() if k not in OF_NAMED}
    given = node["arguments"] or {}
    plain |= own_arguments(given)
    # Such as a class's own `decay`, which would be taken for ours.
    plain["_arguments_"] = {k: v for k, v in given.items() if k in OURS}
    if entry is None:
        return _custom(plain, node)
    plain["_target_"] = entry.target
    for key, default in (("lr", entry.lr), ("weight_decay", entry.weight_decay)):
        if plain[key] is None:
            plain[key] = default
        if plain[key] is None:
            del plain[key]
    plain |= _from_the_run(entry, run or {})
    if "use_muon" in entry.needs:
        plain["groups"] = [*_muon_flags(module), *node["groups"]]
    if "matrices" in entry.needs:
        plain |= {"takes": "optbench.optim.groups.hidden_matrices", "companion": _COMPANION}
    if "module" in entry.needs:
        if node["groups"] or not node["decay_norm_and_bias"] or node["layer_decay"] != 1.0:
            raise UserError(
                f"optimizer.name={node['name']}: makes its groups of parameters itself; leave out "
                "optimizer.groups, optimizer.decay_norm_and_bias and optimizer.layer_decay"
            )
        plain["_module_"] = True
    plain["_needs_"] = needs_in_words(entry.needs)
    return plain


def _from_the_run(entry: Entry, run: Mapping[str, int]) -> dict[str, int]:
    return {key: run.get(key, 1000) for key in FROM_THE_RUN if key in entry.needs}


def _muon_flags(module: nn.Module) -> list[dict[str, Any]]:
    matrices = hidden_matrices(module)
    if not matrices:
        raise UserError(
            "optimizer: the model has no parameter that it can take (hidden_matrices); "
            "try optimizer=adamw"
        )
    names = [name for name, p in module.named_parameters() if p.requires_grad]
    return [{"params": name, "use_muon": name in matrices} for name in names]


def _custom(plain: dict[str, Any], node: Mapping[str, Any]) -> dict[str, Any]:
    """Check a node against the signature of its class; return the settings that it takes."""
    cls = locate(str(node["_target_"]), "optimizer._target_")
    if not (isinstance(cls, type) and issubclass(cls, torch.optim.Optimizer)):
        raise UserError(f"optimizer._target_={node['_target_']}: not a torch.optim.Optimizer")
    parameters = inspect.signature(cls).parameters
    anything = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    _, *rest = [name for name, p in parameters.items() if p.kind is not p.VAR_KEYWORD]
    for name in node["arguments"] or {}:
        if name not in rest and not anything:
            raise UserError(no_argument(cls.__name__, name, rest))
    for key in ("lr", "weight_decay"):
        if plain[key] is not None and key not in rest and not anything:
            raise UserError(f"optimizer.{key}={plain[key]}: {cls.__name__} has none")
        if plain[key] is None:
            default = parameters[key].default if key in rest else None
            if default is inspect.Parameter.empty:
                raise UserError(f"optimizer.{key}=null: {cls.__name__} has no default; give one")
            plain[key] = default
        if plain[key] is None:
            del plain[key]
    if "lr" not in rest and "lr" not in plain:
        plain["_needs_"] = Needs(lr=False)
    return plain


def needs_in_words(words: Collection[str]) -> Needs:
    """Return the needs that the words of the zoo's table stand for."""
    return Needs(
        objective="many" if "closure" in words else "none",
        create_graph="create_graph" in words,
        lr="no_lr" not in words,
        divides_by_lr="divides_by_lr" in words,
    )


def with_needs(optimizer: torch.optim.Optimizer, node: Mapping[str, Any]) -> Any:
    """Return the optimizer, marked with what the training has to heed."""
    needs = node.get("_needs_", Needs())
    if needs == Needs():
        return optimizer
    needs = together([needs_of(optimizer), needs])
    optimizer.needs = needs  # type: ignore[attr-defined]
    if not needs.lr:
        for group in optimizer.param_groups:
            group.setdefault("lr", 1.0)
    if needs.create_graph:
        # Gradients are set to None after every step, which ends the cycle that it warns of.
        warnings.filterwarnings("ignore", message="Using backward.. with create_graph=True")
    return optimizer
