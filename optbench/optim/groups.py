"""Parameter groups: which parameter gets which settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from optbench.torch_internals import NormBase

Group = dict[str, Any]
NORMS = (
    NormBase,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
    nn.LocalResponseNorm,
)


def norms_and_biases(module: nn.Module) -> set[str]:
    """Return the names of the parameters of normalisation layers, and of all biases."""
    names = set()
    for prefix, child in module.named_modules():
        for name, _ in child.named_parameters(recurse=False):
            if isinstance(child, NORMS) or _is_bias(child, name):
                names.add(f"{prefix}.{name}" if prefix else name)
    return names


def _is_bias(owner: nn.Module, name: str) -> bool:
    """Return whether a name is a bias's in torch's layers: `bias`, `in_proj_bias`, `bias_hh_l0`."""
    recurrent = isinstance(owner, nn.RNNBase | nn.RNNCellBase) and name.startswith("bias_")
    return recurrent or name == "bias" or name.endswith("_bias")


def hidden_matrices(module: nn.Module) -> set[str]:
    """Return the names of the 2-D weights but the output layer's (`head`) and embeddings'."""
    embeddings = {
        f"{prefix}.weight" for prefix, m in module.named_modules() if isinstance(m, nn.Embedding)
    }
    return {
        name
        for name, parameter in module.named_parameters()
        if parameter.ndim == 2 and "head" not in name.split(".") and name not in embeddings
    }


def parameter_groups(
    named: Sequence[tuple[str, nn.Parameter]],
    patterns: Sequence[Mapping[str, Any]],
    undecayed: set[str],
) -> list[Group]:
    """Return the parameters sorted into groups of equal settings, each in its original order.

    Args:
        named: name and parameter.
        patterns: settings by name: `{"params": "head.*", "lr": 0.1}`; later ones win.
        undecayed: names that get `weight_decay` 0, unless a pattern says otherwise.

    Returns:
        Groups as `torch.optim` takes them, with the names under `param_names`; those that are told
        to have no weight decay are marked `undecayed`, for schedules of it.

    Raises:
        ValueError: a pattern that matches no parameter.
    """
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern["params"]) for name, _ in named):
            names = ", ".join(name for name, _ in named)
            raise ValueError(f"params={pattern['params']}: matches none of {names}")
    groups: dict[str, Group] = {}
    for name, parameter in named:
        settings: dict[str, Any] = {"weight_decay": 0.0} if name in undecayed else {}
        for pattern in patterns:
            if fnmatchcase(name, pattern["params"]):
                settings.update({k: v for k, v in pattern.items() if k != "params"})
        if settings.get("weight_decay") == 0:
            settings["undecayed"] = True
        group = groups.setdefault(repr(sorted(settings.items())), {"params": [], **settings})
        group["params"].append(parameter)
        group.setdefault("param_names", []).append(name)
    return list(groups.values())


def parameter_count(parameters: Sequence[torch.Tensor]) -> int:
    """Return how many numbers the parameters hold."""
    return sum(p.numel() for p in parameters)


def every_group(optimizer: torch.optim.Optimizer) -> list[dict[str, Any]]:
    """Return an optimizer's groups; of one that steps others in turn those of all of them."""
    groups: list[dict[str, Any]] = getattr(optimizer, "every_group", optimizer.param_groups)
    return groups
