"""Keys of the config's nodes that mean something to us, whatever class they are for. No torch.

Of an optimizer's those that are not arguments of its class; of a data set's those that say where
and how it is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OF_EVERY = (
    "implementation",
    "decay",
    "layer_decay",
    "centralize_gradients",
    "decay_norm_and_bias",
    "groups",
)
"""What configs/_optimizer.yaml gives every optimizer."""

OF_THE_FILE = ("takes", "companion", "lr_is_initial", "stages")
"""What an optimizer's file says of it: the parameters that it takes, who gets the others, ..."""

OF_NAMED = ("name", "arguments")
"""How `zoo` and `custom` name another optimizer."""

OURS = (*OF_EVERY, *OF_THE_FILE)

OF_A_COMPANION = ("implementation", "groups", "decay_norm_and_bias", "layer_decay")
"""What a companion shares with the optimizer beside it."""

IMPLEMENTATIONS = ("foreach", "fused", "capturable", "differentiable")
"""Arguments that say how a step is computed, which `implementation` decides for all groups."""

PATHS = ("path", "root")
"""Of a data set, paths on this machine."""

OF_CUSTOM = ("arguments", "train", "val", "test")
"""Of a data set of the user's own, what its class is called with: of all splits, and of each."""

OF_READING = (
    *PATHS,
    "folder",
    "archive",
    "train_dir",
    "test_dir",
    "mirrors",
    "url",
    "download",
    "workers",
    "prefetch",
)
"""Where and how a data set is read: with others of these it may be, and is, the same."""


FIXED = (
    "model",
    "dataset",
    "task",
    "optimizer._target_",
    "optimizer.name",
    "optimizer.weights",
    "optimizer.groups",
    "optimizer.takes",
    "optimizer.companion._target_",
    "optimizer.stages",
    "optimizer.decay_norm_and_bias",
    "optimizer.decay",
    "optimizer.layer_decay",
    "optimizer.implementation",
    "optimizer.amsgrad",
    "optimizer.centered",
    "wrapper._target_",
)
"""Nodes, and keys of them, that a resumed run can't change, for its checkpoint depends on them."""


def own_arguments(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys that are arguments of the optimizer's class."""
    return {k: v for k, v in node.items() if not k.startswith("_") and k not in OURS}


def settable_in_a_group(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a parameter group may set for itself, of a companion's too, with the values."""
    settings = own_arguments(node.get("companion") or {}) | own_arguments(node)
    never = (*OF_NAMED, *IMPLEMENTATIONS)
    return {k: v for k, v in settings.items() if k not in never}
