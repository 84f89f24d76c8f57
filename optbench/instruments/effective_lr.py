"""The learning rate that momentum makes of the one that is set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from optbench.instruments.base import Measurement, Progress, unwatched
from optbench.instruments.look import Look
from optbench.optim.groups import every_group

ADDS = frozenset({"SGD", "RMSprop", "Momentum", "NAG", "HeavyBall", "LARS", "KFAC", "EKFAC"})
"""Optimizers whose `momentum` adds up updates: v = momentum v + update. Of others it is not known
here, and many average."""

Group = dict[str, Any]


class EffectiveLr:
    """lr / (1 - momentum) of each parameter group: what a gradient's whole share in the updates to
    come is, where momentum adds gradients up, v = momentum v + (1 - dampening) g.

    Where momentum averages them, v = beta v + (1 - beta) g, as Adam's does, that is lr itself. It
    is reached when momentum was about 1 / (1 - momentum) steps under way, and holds while gradients
    change little over so many steps.
    """

    name = "effective_lr"
    what = "lr / (1 - momentum) of each parameter group"

    def lacking(self, look: Look) -> str | None:
        """Return why it can't measure this run."""
        return None if look.player.needs.lr else "an optimizer without a learning rate"

    def measure(self, look: Look, progress: Progress = unwatched) -> Measurement:
        """Read the groups as the next step takes them."""
        rows, notes = [], []
        for owner, group in _groups(look.player.optimizer):
            row = _row(owner, group)
            rows.append(row)
            said = _sentence(row)
            if said not in notes:
                notes.append(said)
        values: dict[str, float] = {}
        for place, row in enumerate(rows):
            if row["effective_lr"] is not None:
                name = "effective_lr" if place == 0 else f"effective_lr/{place}"
                values[name] = row["effective_lr"]
        progress(1, 1)
        return Measurement(values, {"groups": rows}, notes)


def memory_of(optimizer: torch.optim.Optimizer) -> float | None:
    """Return the coefficient with which the first group's momentum keeps what came before; None
    without one."""
    _, group = next(_groups(optimizer))
    return _coefficient(group)[1]


def _groups(optimizer: torch.optim.Optimizer) -> Iterator[tuple[str, Group]]:
    """Yield each group with the name of the class that steps it, inside wrappers too."""
    members = getattr(optimizer, "members", None)
    if isinstance(members, list) and members:
        stage = getattr(optimizer, "stage", None)  # of one that steps others in turn
        for member in members if stage is None else [members[stage]]:
            yield from _groups(member)
        return
    for group in every_group(optimizer):
        yield type(optimizer).__name__, group


def _coefficient(group: Group) -> tuple[str, float | None]:
    for key, value in (
        ("momentum", group.get("momentum")),
        ("betas[0]", (group.get("betas") or [None])[0]),
        ("beta1", group.get("beta1")),
    ):
        if isinstance(value, int | float | torch.Tensor):
            return key, float(value)
    return "", None


def _row(owner: str, group: Group) -> dict[str, Any]:
    key, memory = _coefficient(group)
    lr = float(group["lr"])
    row: dict[str, Any] = {"optimizer": owner, "lr": lr, "by": key, "momentum": memory}
    adds = key == "momentum" and owner in ADDS
    if memory is None or memory == 0 or key != "momentum":
        return {**row, "adds": adds and bool(memory), "effective_lr": lr}
    if not adds or not memory < 1:
        return {**row, "adds": None, "effective_lr": None}
    dampening = float(group.get("dampening") or 0.0)
    return {**row, "adds": True, "effective_lr": lr * (1 - dampening) / (1 - memory)}


def _sentence(row: dict[str, Any]) -> str:
    owner, memory = row["optimizer"], row["momentum"]
    if not memory:
        return f"{owner} has no momentum: lr is what it is"
    if row["by"] != "momentum":
        return f"{owner} averages with {row['by']}={memory:g}: lr is what it is"
    if row["effective_lr"] is None:
        return f"whether {owner} adds up or averages with momentum={memory:g} is not known here"
    factor = row["effective_lr"] / row["lr"] if row["lr"] else 1 / (1 - memory)
    return (
        f"{owner} adds up with momentum={memory:g}: lr times {factor:g}, reached after about "
        f"{1 / (1 - memory):.0f} steps"
    )
