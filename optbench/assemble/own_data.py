"""A data set of the user's own, `dataset=custom`: any map-style one of torch's kind."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from optbench.assemble.create import called, given
from optbench.data.items import Items, lacking
from optbench.errors import UserError

if TYPE_CHECKING:
    from optbench.data.dataset import Split

SPLITS: tuple[Split, ...] = ("train", "val", "test")


def is_own(node: Mapping[str, Any]) -> bool:
    """Return whether a data set's node is of the choice `custom`."""
    return "arguments" in node and all(split in node for split in SPLITS)


def own_items(target: Any, **node: Any) -> Items:
    """Return the data set that a node of `custom` says.

    What a split draws from the global generators as it is made follows from `data_seed`, and is
    another for each of them.

    Args:
        target: what `_target_` names.
        node: the node's other keys, plain.

    Raises:
        UserError: what it makes is no map-style data set.
    """
    from optbench.data.global_draws import borrowed, seed
    from optbench.data.image_settings import Loading

    if node["prefetch"] < 1:
        raise UserError(f"dataset.prefetch={node['prefetch']}: must be at least 1")
    made: dict[Split, Any] = {}
    for number, split in enumerate(SPLITS):
        if split != "train" and node[split] is None:
            continue
        with borrowed():
            seed(node["data_seed"], number)
            shared = given(node, "dataset.arguments", "arguments")
            every = {**shared, **given(node, f"dataset.{split}", split)}
            items = called(partial(target, **every), target, "dataset", "dataset.arguments")
        why = lacking(items)
        if why is not None:
            name = "nothing" if items is None else type(items).__name__
            raise UserError(f"dataset: {name} {why}; expected a map-style torch.utils.data.Dataset")
        made[split] = items
    return Items(made, Loading(node["workers"], node["prefetch"]), node["num_classes"])
