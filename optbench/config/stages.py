"""Optimizers that are named inside the config: the stages of one that goes from one to the next."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from optbench.config.conform import conform
from optbench.config.flow import flow
from optbench.config.keys import join
from optbench.config.lengths import is_positive
from optbench.config.reserved import OF_EVERY
from optbench.config.schedules import named_schedule
from optbench.config.suggest import did_you_mean
from optbench.errors import UserError

STAGES = "stages"
OF_A_STAGE = ("optimizer", "until", "keep", "train", "schedule", "wrapper")
"""What stands in a stage beside the settings of its optimizer."""
SHARED = tuple(key for key in OF_EVERY if key != "centralize_gradients")
"""What a stage has of the whole, unless it says otherwise."""
SWATS = "swats"
RATES = (SWATS, "matched")
"""Words for a learning rate that the steps before tell."""
KEEPS = ("momentum", "squares")
PLATEAU = {
    "metric": None,
    "mode": "auto",
    "patience": 10,
    "threshold": 1e-4,
    "threshold_mode": "rel",
    "by": None,
}
BOUND = {"metric": None, "below": None, "above": None, "by": None}
SETTLED = {SWATS: 1e-9, "by": None}
"""What stands in an `until` that is no length, with the defaults."""
EXAMPLE = "[{optimizer: adam, until: 50%}, {optimizer: sgd, lr: 0.1}]"

FileOf = Callable[[str, str], Mapping[str, Any]]
"""From a group and a name to all keys of the file with their defaults."""
NamesOf = Callable[[str], Sequence[str]]
"""From a group to the names that there are."""


def expand_stages(plain: Mapping[str, Any], file_of: FileOf, names_of: NamesOf) -> dict[str, Any]:
    """Give every stage of an optimizer (`{optimizer: adam, until: 50%}`) all its keys.

    What is expanded already stays as it is, so the result is enough to run again.

    Args:
        plain: the conformed config.
        file_of: finds a file; asked for what there is only.
        names_of: the names that there are.

    Raises:
        UserError: no stages, an unknown name or key, a wrong value, an end that is missing.
    """
    made = _Stages(file_of, names_of)
    out = {**plain, "optimizer": made(plain["optimizer"], "optimizer")}
    if plain.get("player"):
        out["player"] = {
            name: {**node, "optimizer": made(node["optimizer"], f"player.{name}.optimizer")}
            for name, node in plain["player"].items()
        }
    return out


def stages_of(optimizer: Mapping[str, Any], at: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield key and node of an optimizer's stages, expanded; none of others."""
    for index, stage in enumerate(optimizer.get(STAGES) or []):
        yield f"{at}.{STAGES}[{index}]", stage


def settings_of(stage: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stage's optimizer as if it stood alone."""
    node = {key: value for key, value in stage.items() if key not in OF_A_STAGE}
    return {**node, "lr": 1.0} if node.get("lr") in RATES else node


class _Stages:
    """Expands the stages of one optimizer after the other."""

    def __init__(self, file_of: FileOf, names_of: NamesOf) -> None:
        self._file_of, self._names_of = file_of, names_of

    def __call__(self, node: Mapping[str, Any], at: str) -> dict[str, Any]:
        if STAGES not in node:
            return dict(node)
        stages, key = node[STAGES], join(at, STAGES)
        if not isinstance(stages, list) or not stages:
            raise UserError(f"{key}={flow(stages)}: which optimizers? such as {EXAMPLE}")
        shared = {name: node[name] for name in SHARED if name in node}
        found = [self._stage(each, f"{key}[{i}]", i, shared) for i, each in enumerate(stages)]
        for index, stage in enumerate(found[:-1]):
            if stage["until"] is None:
                raise UserError(f"{key}[{index}]: never ends; add until: 50%, 5ep or 1000")
        if found[-1]["until"] is not None:
            last = f"{key}[{len(found) - 1}].until={flow(found[-1]['until'])}"
            raise UserError(f"{last}: nothing follows the last stage; leave it out")
        return {**node, STAGES: found}

    def _stage(self, stage: Any, at: str, index: int, shared: Mapping[str, Any]) -> dict[str, Any]:
        if isinstance(stage, str):
            stage = {"optimizer": stage}
        if not isinstance(stage, Mapping) or not isinstance(stage.get("optimizer"), str):
            raise UserError(
                f"{at}={flow(stage)}: which optimizer? such as {{optimizer: adam, until: 50%}}"
            )
        if "_target_" in stage and all(key in stage for key in OF_A_STAGE):
            return dict(stage)
        name = stage["optimizer"]
        file = self._file("optimizer", name, f"{at}.optimizer")
        if STAGES in file:
            raise UserError(f"{at}.optimizer={name}: stages do not have stages")
        own = {**file, **shared}
        reference = {**dict.fromkeys(OF_A_STAGE), **own}
        reference.pop("centralize_gradients", None)
        word = stage.get("lr") if isinstance(stage.get("lr"), str) else None
        given = {k: v for k, v in stage.items() if not (word and k == "lr")}
        if not index and "lr" in stage:
            said = shlex.quote(f"{at.partition('.stages')[0]}.lr={flow(stage['lr'])}")
            raise UserError(f"{at}.lr={flow(stage['lr'])}: of the first stage write {said}")
        if word is not None and word not in RATES:
            hint = did_you_mean(word, RATES)
            raise UserError(f"{at}.lr={word}: expected a number, swats or matched; {hint}")
        found = conform({**reference, **given}, reference, at)
        if word is not None:
            found["lr"] = word
        if not index and "lr" in found:
            found["lr"] = None  # that of the whole
        return found | {
            "until": _until(found["until"], f"{at}.until"),
            "keep": _keep(found["keep"], f"{at}.keep", index),
            "train": _train(found["train"], f"{at}.train"),
            "schedule": self._schedule(found["schedule"], f"{at}.schedule"),
            "wrapper": self._wrapper(found["wrapper"], f"{at}.wrapper"),
        }

    def _file(self, group: str, name: str, at: str) -> dict[str, Any]:
        names = self._names_of(group)
        if name not in names:
            raise UserError(f"{at}={flow(name)}: no such {group}; {did_you_mean(name, names)}")
        return dict(self._file_of(group, name))

    def _schedule(self, node: Any, at: str) -> dict[str, Any] | None:
        if node is None:
            return None
        found = named_schedule(node, at, lambda name, where: self._file("schedule", name, where))
        return found

    def _wrapper(self, node: Any, at: str) -> dict[str, Any] | None:
        if node is None:
            return None
        said = {"wrapper": node} if isinstance(node, str) else node
        if not isinstance(said, Mapping) or not isinstance(said.get("wrapper"), str):
            raise UserError(f"{at}={flow(node)}: which wrapper? such as {{wrapper: sam}}")
        file = self._file("wrapper", said["wrapper"], at)
        own = {key: value for key, value in said.items() if key != "wrapper"}
        return conform({**file, **own}, file, at) if file.get("_target_") else None


def _until(said: Any, at: str) -> Any:
    """Return when a stage ends, with all that is to be known of it."""
    if said is None:
        return None
    if said == SWATS:
        return dict(SETTLED)
    if not isinstance(said, Mapping):
        return _length(said, at)
    reference = SETTLED if SWATS in said else BOUND if {"below", "above"} & set(said) else PLATEAU
    found = conform({**reference, **said}, reference, at)
    found["by"] = None if found["by"] is None else _length(found["by"], f"{at}.by")
    if reference is SETTLED:
        return found
    if not isinstance(found["metric"], str):
        raise UserError(f"{at}={flow(said)}: which metric? such as {{metric: val/loss}}")
    if reference is BOUND and (found["below"] is None) == (found["above"] is None):
        raise UserError(f"{at}={flow(said)}: below or above, one of them")
    return found


def _length(said: Any, at: str) -> Any:
    if is_positive(said):
        return said
    what = "a step (1000), an epoch (5ep), a part of the run (50%), swats"
    raise UserError(
        f"{at}={flow(said)}: not valid; expected {what} or a metric, such as {{metric: val/loss}}"
    )


def _keep(said: Any, at: str, index: int) -> list[str]:
    words = [] if said is None else [said] if isinstance(said, str) else said
    if not isinstance(words, list):
        raise UserError(f"{at}={flow(said)}: expected some of {', '.join(KEEPS)}")
    for word in words:
        if word not in KEEPS:
            raise UserError(f"{at}={flow(said)}: {did_you_mean(str(word), KEEPS)}")
    if words and not index:
        raise UserError(f"{at}={flow(said)}: there is nothing before the first stage")
    return words


def _train(said: Any, at: str) -> list[str]:
    names = ["*"] if said is None else [said] if isinstance(said, str) else said
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise UserError(f"{at}={flow(said)}: expected patterns of parameters, such as head.*")
    return names
