"""What may change when a run is resumed, and its config with the changes."""

from __future__ import annotations

import copy
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

from omegaconf import OmegaConf

from optbench.compose.composer import Composer
from optbench.compose.explain import unresolved, value_of
from optbench.compose.files import GROUPS, OVERLAYS
from optbench.config.conform import conform
from optbench.config.declared import FIXED as SETTINGS_FIXED
from optbench.config.flow import flow
from optbench.config.interpolated import decoded
from optbench.config.keys import meant
from optbench.config.reserved import FIXED as NODES
from optbench.config.reserved import OF_READING
from optbench.config.schedules import VALUE_KEYS
from optbench.errors import UserError

FIXED = (*SETTINGS_FIXED, *NODES, "update_every", "data_root")
"""What a checkpoint's tensors, or its place in the order of examples, depend on."""

FREE = ("data_root", "dataset.arguments", *(f"dataset.{key}" for key in OF_READING))
"""What of it may change all the same: where and how the same data is read."""


LABELS: dict[str, Any] = {"tags": [], "notes": None}
"""What a run is found by, with what a run has that was made before there were such."""


def apply(
    composer: Composer,
    saved: Mapping[str, Any],
    overrides: Sequence[str],
    task: str,
    when: str = "when a run is resumed",
) -> dict[str, Any]:
    """Apply the overrides to the saved config, which is the schema of what may be set.

    Args:
        task: that the run chose.
        when: this is done, for messages.
    """
    config = OmegaConf.create(copy.deepcopy(dict(saved)))
    touched = set()
    for override in composer.parse(overrides):
        key = override.key_or_group
        touched.add(key)
        of_hydra = key.startswith(("hydra.", "hydra/"))
        if override.is_sweep_override() or override.is_delete() or key in OVERLAYS or of_hydra:
            raise UserError(f"{override.input_line}: not {when}")
        if key in ("steps", "epochs") and override.value() is None:
            raise UserError(
                f"{key}=null: a resumed run keeps its length, or is given another: {key}=N"
            )
        if key in GROUPS:
            line = str(override.input_line)
            fresh = composer.spec(composer.compose([f"task={task}", line]), [])
            at = override.package or key
            node = OmegaConf.select(OmegaConf.create(fresh.plain), at)
            OmegaConf.update(config, at, node, merge=False)
        elif key not in LABELS and OmegaConf.select(config, key, default=_MISSING) is _MISSING:
            hint = meant(key, value_of(override), saved)
            raise UserError(f"{override.input_line}: no such key; {hint}")
        else:
            OmegaConf.update(config, key, override.value(), merge=False)
    follows = saved["dataset"].get("root") == saved["data_root"]
    if follows and touched & {"data_root", "dataset", "dataset.root"} == {"data_root"}:
        config["dataset"]["root"] = config["data_root"]
    if ("steps" in touched) != ("epochs" in touched):
        config["epochs" if "steps" in touched else "steps"] = None
    written = cast(dict[str, Any], OmegaConf.to_container(config, resolve=False))
    try:
        found = OmegaConf.to_container(config, resolve=True)
    except Exception as error:  # a resolver's, or none of this name
        raise UserError(unresolved(config, list(written))) from error
    plain = cast(dict[str, Any], decoded(found, written, saved))
    reference = {**saved, **{g: plain[g] for g in GROUPS if g in touched}}
    if saved.get("player"):
        reference["player"] = plain["player"]  # its files may be others than those saved
    reference |= dict.fromkeys(VALUE_KEYS)  # null or any schedule, whatever it was
    reference |= {key: default for key, default in LABELS.items() if key in touched}
    return composer.expand(conform({str(k): v for k, v in plain.items()}, reference))


_MISSING = object()
_PLAYERS = re.compile(r"^player\.\w+\.")


def goes_on(state: str, changes: Mapping[str, Any], asked: Collection[str] = ()) -> bool:
    """Return whether a run that had ended has something left to do after the changes.

    Args:
        asked: the keys that were said. One that stopped early, as a callback may ask for, goes on
            to its planned length when that is said again.
    """
    reasons = {"epochs", "steps"}
    if state == "stopped_early" and reasons & set(asked):
        return True
    if state in ("stopped_early", "diverged"):
        reasons |= {"early_stopping", "optimizer", "schedule", "clip", "nonfinite", "precision"}
    return any(_PLAYERS.sub("", key).partition(".")[0] in reasons for key in changes)


def _is_of(key: str, nodes: Sequence[str]) -> bool:
    """Return whether a key is one of some, or stands in one of them."""
    return any(key == node or key.startswith(f"{node}.") for node in nodes)


def is_fixed(key: str) -> bool:
    """Return whether a run that is gone on with has to keep what a key says."""
    own = _PLAYERS.sub("", key)
    return _is_of(own, FIXED) and not _is_of(key, FREE)


Chosen = Mapping[str, tuple[str, str]]
"""The old and the new choice of each group that has another."""


def chosen_anew(old: Mapping[str, str], new: Mapping[str, str]) -> Chosen:
    """Return the groups that have another choice than they had."""
    return {g: (old[g], new[g]) for g in new if g in old and old[g] != new[g]}


def as_chosen(key: str, old: Any, new: Any, chosen: Chosen) -> tuple[str, str]:
    """Return a change as it was said, such as `dataset=mnist`, and what was there before.

    Args:
        key, old, new: the value that differs.
        chosen: the groups of which others were chosen.
    """
    for group, (was, now) in chosen.items():
        if key.startswith(f"{group}."):
            return f"{group}={now}", was
    return f"{key}={flow(new)}", flow(old)


def refuse_fixed(changes: Mapping[str, Any], chosen: Chosen) -> None:
    """Raise UserError if one of the changes is of something that can't change."""
    for key, (old, new) in changes.items():
        if is_fixed(key):
            said, was = as_chosen(key, old, new, chosen)
            raise UserError(
                f"{said}: can't change when a run is resumed (it is {was}); start a new run"
            )
