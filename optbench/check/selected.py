"""Which checks are done: ours by name, a user's own by its `_target_`. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from optbench.assemble.create import create, kind_of, locate
from optbench.config.flow import flow
from optbench.config.suggest import did_you_mean
from optbench.errors import UserError

if TYPE_CHECKING:
    from optbench.check.base import Check

CLASSES = {
    "data": "optbench.check.data.Data",
    "wiring": "optbench.check.wiring.Wiring",
    "gradients": "optbench.check.gradients.Gradients",
    "initialisation": "optbench.check.initialisation.Initialisation",
    "overfit": "optbench.check.overfit.Overfit",
    "lr": "optbench.check.learning_rate.LearningRate",
    "determinism": "optbench.check.determinism.Determinism",
    "memory": "optbench.check.memory.Memory",
    "speed": "optbench.check.speed.Speed",
}
"""Our own, in the order in which they are done."""

Said = str | Mapping[str, Any]


def names_of(said: Any, word: str = "checks") -> list[Said]:
    """Return what `checks=[...]` or `skip=[...]` says, checked; all of ours where it says nothing.

    Raises:
        UserError: a name that there is not, or something else than names and `_target_`s.
    """
    if said is None:
        return list(CLASSES) if word == "checks" else []
    given = said if isinstance(said, list | tuple) else [said]
    found: list[Said] = []
    for each in given:
        if isinstance(each, Mapping) and "_target_" in each and word == "checks":
            found.append({str(key): value for key, value in each.items()})
        elif isinstance(each, Mapping):
            raise UserError(
                f"{word}={flow(said)}: expected names, or {{_target_: my.module.Check}}"
            )
        elif str(each) in CLASSES:
            found.append(str(each))
        elif "." in str(each) and word == "checks":
            found.append({"_target_": str(each)})
        else:
            raise UserError(f"{word}={each}: no such check; {did_you_mean(str(each), CLASSES)}")
    if not found:
        raise UserError(f"{word}=[]: which? {', '.join(CLASSES)}")
    return found


def targets_of(said: Sequence[Said]) -> None:
    """Raise UserError for a class that can't be found, before anything is loaded."""
    for each in said:
        if isinstance(each, Mapping):
            locate(str(each["_target_"]), "checks._target_")


def make(said: Sequence[Said]) -> list[Check]:
    """Return the checks.

    Raises:
        UserError: one can't be made, or is none.
    """
    made = []
    for each in said:
        node = {"_target_": CLASSES[each]} if isinstance(each, str) else each
        check = create(node, "checks")
        if not callable(getattr(check, "run", None)):
            target = node["_target_"]
            raise UserError(f"checks._target_={target}: gives {kind_of(check)} without run(setup)")
        made.append(check)
    return made
