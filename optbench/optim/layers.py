"""The layers of a model from its input to its output, and layer-wise learning rates."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import Enum

from torch import nn

from optbench.torch_internals import ConvBase

STACKS = (nn.Sequential, nn.ModuleList)
EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)
PROJECTIONS = (nn.Linear, ConvBase)


class Kind(Enum):
    """What a layer is to the others."""

    INPUT = "embeds the input"
    PROJECTION = "does so before the first block of a model that has embeddings"
    BLOCK = "one of a stack"
    OTHER = "any other"


Layer = tuple[list[str], Kind]


def layer_factors(module: nn.Module, decay: float) -> dict[str, float]:
    """Return factors of layer-wise lr decay (Howard & Ruder 2018, section 3.1; Clark et al. 2020).

    The last layer has factor 1, each one before it `decay` times the next one's. What belongs to
    several, as an output layer tied to the embedding of tokens, has the last one's.

    Args:
        module: whose `layers` they are.
        decay: in (0, 1].
    """
    parameters = dict(module.named_parameters(remove_duplicate=False))
    found = layers(module)
    at = {id(parameters[n]): number for number, names in enumerate(found) for n in names}
    last = len(found) - 1
    return {name: decay ** (last - at[id(p)]) for name, p in module.named_parameters()}


def layers(module: nn.Module) -> list[list[str]]:
    """Return the parameters' names of each layer, a tied parameter's under each of its names.

    A layer is a child of the model; of a `Sequential` or `ModuleList`, and of a recurrent network,
    each of theirs; so it is for a child around such a stack of blocks (torchvision's `encoder`).
    All that embeds the input is the first one, as in BEiT and MAE: embeddings, parameters outside
    all layers (a class token, positions), and with these the projection of patches before the
    first block. A model's `parallel` names children that stand side by side: one layer.
    """
    found = [layer for layer in _split(module, "") if layer[0]]
    blocks = [number for number, (_, kind) in enumerate(found) if kind is Kind.BLOCK]
    before = blocks[0] if blocks else 0
    first = {n for n, (_, kind) in enumerate(found) if kind is Kind.INPUT}
    if first:
        first |= {n for n in range(before) if found[n][1] is Kind.PROJECTION}
    beside = getattr(module, "parallel", ())
    merged: dict[object, list[str]] = {}
    for number, (names, _) in enumerate(found):
        key: object = _together(names[0], beside) or number
        merged.setdefault("input" if number in first else key, []).extend(names)
    return list(merged.values())


def _split(module: nn.Module, at: str) -> Iterator[Layer]:
    """Yield the layers of the model, or of a part of it that is made of several."""
    own = [at + name for name, _ in module.named_parameters(recurse=False)]
    if own and not any(module.children()):
        yield from (([name], Kind.OTHER) for name in own)
    elif own:
        yield own, Kind.INPUT
    for name, child in module.named_children():
        below = f"{at}{name}."
        if isinstance(module, STACKS):
            yield from _recurrent(child, below) or [(_names(child, below), Kind.BLOCK)]
        elif isinstance(child, STACKS) or _is_around_a_stack(child):
            yield from _split(child, below)
        else:
            yield from _recurrent(child, below) or [(_names(child, below), _kind(child))]


def _is_around_a_stack(module: nn.Module) -> bool:
    """Return whether blocks follow each other in it; not side by side, nor with a shortcut."""
    children = list(module.children())
    stacks = [child for child in children if isinstance(child, STACKS)]
    if stacks:
        blocks = list(stacks[0])
        return len(stacks) == 1 and len(blocks) > 0 and all(any(b.children()) for b in blocks)
    return any(_is_around_a_stack(child) for child in children)


def _recurrent(module: nn.Module, at: str) -> list[Layer]:
    """Return the layers of a recurrent network (`weight_ih_l1_reverse`); none of another module."""
    if not isinstance(module, nn.RNNBase):
        return []
    by_number: dict[str, list[str]] = {}
    for name, _ in module.named_parameters():
        match = re.search(r"_l(\d+)", name)
        by_number.setdefault(match[1] if match else "", []).append(at + name)
    return [(names, Kind.BLOCK) for names in by_number.values()]


def _names(module: nn.Module, at: str) -> list[str]:
    return [at + name for name, _ in module.named_parameters(remove_duplicate=False)]


def _kind(module: nn.Module) -> Kind:
    if isinstance(module, EMBEDDINGS):
        return Kind.INPUT
    return Kind.PROJECTION if isinstance(module, PROJECTIONS) else Kind.OTHER


def _together(name: str, beside: Sequence[Sequence[str]]) -> str | None:
    child = name.partition(".")[0]
    return next((f"{names}" for names in beside if child in names), None)
