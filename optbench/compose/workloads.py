"""Whether a run is the workload that it was asked for as.

A workload is its model, data set, task and their settings; optimizer, schedule, seed, budget, batch
size, clipping and precision are what one compares in it. A run that departs from the former is
another problem: it is not called by the workload's name, and not judged by its target.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from optbench.compose.files import ConfigFiles
from optbench.config.flow import flow
from optbench.config.reserved import OF_READING

PARTS = ("model", "dataset", "task")
"""The groups that a workload consists of."""

NO_PART = (*OF_READING, "split_seed", "fold")
"""Settings of a data set that do not make it another: how it is read, and what validates."""

NONE = "none"
MOST_NAMED = 3
"""Of the departures, in the line that tells of them."""


def differences(old: Any, new: Any, at: str = "") -> dict[str, tuple[Any, Any]]:
    """Return the dotted keys whose values differ, with both values."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        found: dict[str, tuple[Any, Any]] = {}
        for key in dict.fromkeys([*old, *new]):
            found |= differences(old.get(key), new.get(key), f"{at}.{key}" if at else str(key))
        return found
    return {} if old == new else {at: (old, new)}


def default_name(choices: Mapping[str, str]) -> str:
    """Return what a run is called that was given no name; of what is lacking it says nothing."""
    own = dict.fromkeys(choice for key, choice in choices.items() if key.startswith("optimizer@"))
    workload = choices.get("workload", NONE)
    groups = ["dataset", "model"] if workload == NONE else ["workload"]
    said = [choices[group] for group in groups if group in choices]
    said += own or [choices[group] for group in ("optimizer",) if group in choices]
    return "-".join(map(str, said))


class Workloads:
    """Finds what of a run is not its workload's.

    Args:
        files: the config files.
        as_it_stands: the config and the choices of a workload that nobody has changed.
    """

    def __init__(
        self,
        files: ConfigFiles,
        as_it_stands: Callable[[str], tuple[dict[str, Any], dict[str, str]]],
    ) -> None:
        self.files, self._as_it_stands = files, as_it_stands
        self._found: dict[str, tuple[dict[str, Any], dict[str, str]]] = {}

    def leave(
        self, config: dict[str, Any], choices: dict[str, str], typed: Sequence[str]
    ) -> str | None:
        """Take the workload's choice, name and target from a run that is another; return a line.

        Args:
            config, choices: the run's, which are changed.
            typed: the keys set on the command line.
        """
        name = choices["workload"]
        departures = self._departures(config, choices, typed)
        if not departures:
            return None
        said = self.files.chain("workload", name)
        choices["workload"] = NONE
        if "name" not in typed and said.get("name") == config["name"]:
            config["name"] = None
        default = self.files.reference(choices)["target"]
        config["target"] = _target(config["target"], said.get("target") or {}, default, typed)
        unjudged = "target" in said and config["target"]["metric"] is None
        named = " ".join(departures[:MOST_NAMED])
        more = len(departures) - MOST_NAMED
        named += f" and {more} more" if more > 0 else ""
        judged = ", so its target is not judged" if unjudged else ""
        return f"{named}: no longer workload {name}{judged}"

    def _departures(
        self, config: Mapping[str, Any], choices: Mapping[str, str], typed: Sequence[str]
    ) -> list[str]:
        """Return what is not the workload's, as it is typed; what it leaves open is free."""
        name = choices["workload"]
        touched = any(key.partition(".")[0] in PARTS for key in typed)
        if name == NONE or not (touched or choices["recipe"] != NONE):
            return []
        if name not in self._found:
            self._found[name] = self._as_it_stands(name)
        its, chosen = self._found[name]
        own = [
            group for group in ("model", "dataset") if self.files.chosen("workload", name, group)
        ]
        if len(own) == 2 or self.files.chosen("workload", name, "task"):
            own.append("task")
        others = [group for group in own if choices[group] != chosen[group]]
        if "task" not in typed and others != ["task"]:  # it came with them
            others = [group for group in others if group != "task"]
        if others:
            return [f"{group}={choices[group]}" for group in others]
        return [line for group in own for line in _other_settings(group, its, config)]


def _other_settings(group: str, its: Mapping[str, Any], own: Mapping[str, Any]) -> list[str]:
    found = differences(its[group], own[group], group).items()
    return [
        f"{key}={flow(value)}"
        for key, (_, value) in found
        if group != "dataset" or key.split(".")[1] not in NO_PART
    ]


def _target(
    own: Mapping[str, Any],
    its: Mapping[str, Any],
    default: Mapping[str, Any],
    typed: Sequence[str],
) -> dict[str, Any]:
    """Return a target that somebody else has set, without the source of the workload's; or none."""
    set_anew = any(key.partition(".")[0] == "target" for key in typed)
    if not set_anew and all(own[key] == value for key, value in its.items()):
        return dict(default)
    same = "target.source" not in typed and own["source"] == its.get("source")
    return {**own, "source": None} if same else dict(own)
