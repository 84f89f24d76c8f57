"""pytorch-optimizer's optimizers by name, and what is special about each: `zoo.csv`. No torch.

The table has a line for each name. `scripts/zoo_table.py` writes what the library itself can tell
(class, lr, arguments, state); the other columns are kept as they are. `needs` holds words:

    closure          `step` evaluates the loss itself
    create_graph     gradients have to be differentiable
    no_lr            it has no learning rate
    divides_by_lr    it fails at an lr of 0
    num_iterations   an argument of this name: the run's steps
    num_data         an argument of this name: the number of training examples
    module           its first argument is the model
    matrices         takes hidden matrices only; AdamW gets the other parameters
    use_muon         takes all, and wants to be told by a flag which are hidden matrices
    wraps            passes further arguments on to the AdamW that it wraps

A class in `optbench.optim.zoo` is the library's, made so that the trainer can step it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from optbench.config.about import About
from optbench.config.reserved import IMPLEMENTATIONS
from optbench.config.suggest import did_you_mean
from optbench.errors import UserError

TABLE = Path(__file__).with_name("zoo.csv")
TARGET = "pytorch_optimizer.create_optimizer"
"""The `_target_` of configs/optimizer/zoo.yaml."""

FROM_THE_RUN = ("num_iterations", "num_data")
_OF_ADAMW = ("lr", "betas", "eps", "weight_decay", "amsgrad")


@dataclass(frozen=True)
class Entry:
    """A line of the table.

    Attributes:
        target: dotted path of the class.
        about: what `optbench list optimizers` says.
        lr: the default learning rate, None where there is none or it depends on other arguments.
        arguments: of the constructor, with their defaults as text.
        needs: the words above.
    """

    target: str
    about: About
    lr: float | None
    arguments: Mapping[str, str]
    needs: frozenset[str]

    @property
    def settable(self) -> list[str]:
        """The arguments that a user may give."""
        own = [name for name in self.arguments if name not in (*FROM_THE_RUN, "foreach", "fused")]
        return list(dict.fromkeys([*own, *(_OF_ADAMW if "wraps" in self.needs else ())]))

    @property
    def weight_decay(self) -> float | None:
        """The default weight decay, None where there is none."""
        text = self.arguments.get("weight_decay", "0.01" if "wraps" in self.needs else None)
        return None if text is None else float(text)


@cache
def zoo() -> dict[str, Entry]:
    """Return the table by name."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return {row["name"]: _entry(row) for row in csv.DictReader(file)}


def _entry(row: Mapping[str, str]) -> Entry:
    paper = f"{row['paper']}, {row['year']}, {row['source']}"
    about = About(row["good_for"], row["family"], paper, row["state"], "its own", row["good_for"])
    return Entry(
        row["class"],
        about,
        float(row["lr"]) if row["lr"] else None,
        dict(pair.split("=", 1) for pair in row["arguments"].split(" ") if pair),
        frozenset(row["needs"].split()),
    )


def entry_of(node: Mapping[str, Any]) -> Entry | None:
    """Return the table's line that an optimizer's node names; None for other optimizers."""
    return zoo()[node["name"]] if node.get("_target_") == TARGET else None


def check_named(node: Mapping[str, Any]) -> None:
    """Check a node that names its optimizer (`zoo`, `custom`) against what that one takes.

    Raises:
        UserError: no such name, one that can't be trained here, or a setting that it does not take.
    """
    if "arguments" not in node:
        return
    given = node["arguments"] or {}
    if not isinstance(given, Mapping):
        raise UserError(f"optimizer.arguments={given}: expected such as {{betas: [0.9, 0.99]}}")
    for name in ("lr", "weight_decay", "groups"):
        if name in given:
            raise UserError(f"optimizer.arguments.{name}: it has its own key, optimizer.{name}")
    for name in given:
        if str(name).startswith("_"):
            raise UserError(f"optimizer.arguments.{name}: no argument begins with _")
    if "name" not in node:
        if not node["_target_"]:
            raise UserError("optimizer._target_=null: which class? such as my.module.Class")
        return
    if node["_target_"] != TARGET:
        raise UserError(f"optimizer._target_={node['_target_']}: with optimizer=custom only")
    name = node["name"]
    if name is None:
        raise UserError("optimizer.name=null: which one? optbench list optimizers names them all")
    if name not in zoo():
        raise UserError(f"optimizer.name={name}: no such optimizer; {_nearest(str(name))}")
    entry = zoo()[name]
    takes = entry.settable
    for argument in given:
        if argument not in takes:
            raise UserError(no_argument(name, argument, takes))
    if node["lr"] is not None and "no_lr" in entry.needs:
        hint = "; set optimizer.arguments={max_lr: ...}" if "max_lr" in takes else ""
        raise UserError(f"optimizer.lr={node['lr']}: {name} has no learning rate{hint}")
    if node["weight_decay"] is not None and entry.weight_decay is None:
        raise UserError(f"optimizer.weight_decay={node['weight_decay']}: {name} has none")


def no_argument(name: str, argument: str, takes: Iterable[str]) -> str:
    """Return the message for an argument that an optimizer does not take."""
    others = [word for word in takes if word not in ("lr", "weight_decay")]
    if not others:
        return f"optimizer.arguments.{argument}: {name} takes no further arguments"
    return f"optimizer.arguments.{argument}: {name} has no argument of this name; " + did_you_mean(
        argument, others
    )


def _nearest(name: str) -> str:
    hint = did_you_mean(name, zoo())
    return hint if hint.startswith("did") else "optbench list optimizers names them all"


def settable_in_groups(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a parameter group of such a node may set, besides what its YAML has."""
    entry = entry_of(node) if node.get("name") in zoo() else None
    given = node["arguments"] or {}
    names = entry.settable if entry is not None else list(given)
    own = {name: given.get(name) for name in names if name not in IMPLEMENTATIONS}
    if entry is not None and "no_lr" in entry.needs:
        own.pop("lr", None)
    else:
        own["lr"] = 0.0
    if entry is None or entry.weight_decay is not None:
        own["weight_decay"] = 0.0
    return own
