"""Parameters that get no gradient, that no optimizer has, or that are frozen; clipping; decay."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from optbench.check.base import Finding, failed, first_few, warned
from optbench.check.setup import Setup
from optbench.check.structure import leaves
from optbench.optim.groups import every_group, norms_and_biases
from optbench.training.player import Player

LEFT = 1e-3
"""Of the gradient's norm: where clipping leaves less, it fails."""
LITTLE = 0.02
"""Where it leaves less, it is told."""
NOTHING = 0.01
"""A norm: what is left of gradients that explode may be little of them, and enough."""
EXPLODED = 100.0
BATCHES = 3


def parameters(setup: Setup) -> Iterator[Finding]:
    """Yield what is wrong with parameters."""
    for player in setup.players:
        yield from _frozen(setup, player)
        yield from _ungrouped(setup, player)
        if player.needs.gradients:
            yield from _unreached(setup, player)
            yield from _clipped(setup, player)
        yield from _decayed(setup, player)


def _unreached(setup: Setup, player: Player) -> Iterator[Finding]:
    state = setup.experiment.state
    with setup.looking(), state.precision.forward():
        loss = state.task.loss(setup.modules, setup.batch(setup.few), player.name)
        slopes = setup.slopes(player, loss)
    known = {id(p) for module in setup.modules.values() for p in module.parameters()}
    outside = [each for each in leaves(loss) if id(each) not in known and each.numel() > 0]
    if outside:
        shapes = first_few(str(list(each.shape)) for each in outside)
        yield failed(
            "the loss depends on tensors that want gradients and are no parameters of the model",
            f"of shape {shapes}",
            "layers in a Python list or dict, or a tensor that is no nn.Parameter",
            "nn.ModuleList, nn.ModuleDict or nn.Parameter in the model's __init__",
        )
    if not loss.requires_grad:
        yield failed(
            "the loss depends on no parameter",
            cause="torch.no_grad(), detach() or .item() in the model or the loss",
            remedy="take it out of forward",
        )
        return
    none = [n for n, g in zip(player.names, slopes, strict=True) if g is None]
    if none:
        yield failed(
            f"no gradient reaches {first_few(none)}",
            f"{len(none)} of {len(player.names)} parameters",
            "a layer that is not called, or is cut off by detach() or torch.no_grad()",
            f"'freeze=[{','.join(none[:3])}]' if it is meant; else mend forward",
        )


def _ungrouped(setup: Setup, player: Player) -> Iterator[Finding]:
    has = {id(p) for group in every_group(player.optimizer) for p in group["params"]}
    named = zip(player.names, player.parameters, strict=True)
    lost = [name for name, parameter in named if id(parameter) not in has]
    vector = any(getattr(o, "flat", None) is not None for o in [player.optimizer])
    if lost and has and not vector:
        yield failed(
            f"{first_few(lost)} in no parameter group of the optimizer",
            f"{len(lost)} of {len(player.names)} parameters never move",
            f"{type(player.optimizer).__name__} drops them",
            "optimizer=adamw, or have the class keep all that it is given",
        )


def _frozen(setup: Setup, player: Player) -> Iterator[Finding]:
    asked = setup.config.freeze
    still = {n: p for n, p in player.module.named_parameters() if not p.requires_grad}
    whole = [name for name, m in player.module.named_modules() if _all_still(m, still, name)]
    own = [n for n in still if not any(fnmatchcase(n, pattern) for pattern in asked)]
    layers = [name for name in whole if any(n.startswith(f"{name}.") for n in own)]
    if layers:
        yield failed(
            f"{first_few(layers)} frozen by the model itself",
            f"{len(own)} of its parameters want no gradient; freeze=[] names none of them",
            "requires_grad=False is left from another training",
            "requires_grad_(True) in the model's __init__",
        )
    elif own:
        yield warned(
            f"{first_few(own)} want no gradient", cause="fixed on purpose, or left so by mistake"
        )
    if asked and whole and setup.config.weights.path is None and not layers:
        first = _is_first(player.module, whole)
        what = f"{'the first layer, ' if first else ''}{first_few(whole)} frozen as it was drawn"
        yield failed(
            what,
            f"freeze=[{','.join(asked)}] and no weights to start from",
            "freezing is for weights that were trained before",
            "freeze=[], or weights=RUN",
        )


def _all_still(module: nn.Module, still: Mapping[str, Tensor], name: str) -> bool:
    own = [n for n, _ in module.named_parameters(recurse=False)]
    return (
        bool(own)
        and all(f"{name}.{n}" if name else n in still for n in own)
        and all(not p.requires_grad for p in module.parameters(recurse=False))
    )


def _is_first(module: nn.Module, frozen: list[str]) -> bool:
    layers = [n for n, m in module.named_modules() if [*m.parameters(recurse=False)]]
    return bool(layers) and layers[0] in frozen


def _clipped(setup: Setup, player: Player) -> Iterator[Finding]:
    clipping = setup.experiment.clipping[player.name]
    if not clipping.acts or (clipping.norm == clipping.value == clipping.adaptive is None):
        return
    before, after = [], []
    state = setup.experiment.state
    with setup.put_back():
        for start in range(0, BATCHES * setup.few, setup.few):
            if start >= len(setup.feed.indices):
                break
            batch = setup.batch(setup.few, start=start)
            with setup.looking(), state.precision.forward():
                loss = state.task.loss(setup.modules, batch, player.name)
                slopes = setup.slopes(player, loss)
            for parameter, slope in zip(player.parameters, slopes, strict=True):
                parameter.grad = slope
            before.append(_norm(player.parameters))
            groups = [group["params"] for group in player.optimizer.param_groups]
            clipping.apply(player.parameters, groups)
            after.append(_norm(player.parameters))
    left = sorted(a / b for a, b in zip(after, before, strict=True) if b > 0)
    if not left:
        return
    middle, norm = left[len(left) // 2], sorted(before)[len(before) // 2]
    if middle >= LITTLE:
        return
    key = "norm" if clipping.norm is not None else "value" if clipping.value is not None else ""
    remedy = f"clip.{key or 'adaptive'}={norm:.1g}" if key == "norm" else f"clip.{key}=null"
    tell = failed if middle < LEFT and middle * norm < NOTHING else warned
    cause = f"clip.{key or 'adaptive'} far below the gradients' own size"
    if norm > EXPLODED:
        cause = "gradients that explode at the start, which it bounds"
    yield tell(
        f"clipping leaves {middle:.2g} of the gradient",
        f"its norm is {norm:.3g} before and {middle * norm:.3g} after",
        cause,
        remedy.replace("clip.=", "clip.adaptive="),
        left=middle,
    )


def _norm(parameters: list[nn.Parameter]) -> float:
    squares = [p.grad.double().square().sum() for p in parameters if p.grad is not None]
    return float(torch.stack(squares).sum().sqrt()) if squares else 0.0


def _decayed(setup: Setup, player: Player) -> Iterator[Finding]:
    """Tell of weight decay on norms and biases: many do it on purpose."""
    apart = norms_and_biases(player.module)
    names = {id(p): n for n, p in player.module.named_parameters()}
    decayed = [
        names[id(p)]
        for group in every_group(player.optimizer)
        if max(group.get("weight_decay") or 0, group.get("decay") or 0) > 0.05
        for p in group["params"]
        if names.get(id(p)) in apart
    ]
    if decayed:
        yield warned(
            f"weight decay on norms and biases: {first_few(decayed)}",
            cause="decay_norm_and_bias=true, which is torch's default",
            remedy="optimizer.decay_norm_and_bias=false",
        )
