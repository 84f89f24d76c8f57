"""A run that is gone on with: from its own config, with what is to change."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from optbench.compose.composer import Composer, hydra_session
from optbench.compose.executors import refuse_executor
from optbench.compose.players import refuse_unowned
from optbench.compose.resumed import LABELS, apply, chosen_anew, goes_on, refuse_fixed
from optbench.compose.workloads import differences
from optbench.config.flow import flow
from optbench.config.run_spec import RunSpec
from optbench.config.schema import from_plain
from optbench.files import dump_yaml
from optbench.rundir import RunDir
from optbench.runs.log import Log
from optbench.runs.saved import Saved, read_saved
from optbench.runs.sweep import of_its_sweep
from optbench.runs.trust import Seal, sealed

CHANGED = "changed: "
"""How a line of the log begins that tells of a key which a resume changed."""


@dataclass(frozen=True)
class Continuation:
    """How a run would go on.

    Attributes:
        folder: the run's.
        spec: what would be run.
        seals: of the configs that it had before.
        changes: old and new value by key.
        asked: the keys that were said, also with the values that they have.
    """

    folder: RunDir
    spec: RunSpec
    seals: list[Seal]
    changes: Mapping[str, tuple[Any, Any]]
    asked: frozenset[str] = frozenset()

    @property
    def ended(self) -> bool:
        """Whether nothing is left to do: the run has ended, and no change lets it go on."""
        return self.folder.done and not goes_on(str(self.folder.state), self.changes, self.asked)

    @property
    def labels(self) -> bool:
        """Whether the run would have other tags or notes and be the same otherwise."""
        return bool(self.changes) and set(self.changes) <= set(LABELS)

    def relabel(self, log: Log) -> None:
        """Give a run that has ended its new tags and notes.

        Raises:
            Busy: another process is at the run.
        """
        folder, spec = self.folder, self.spec
        log.open(folder.log)
        try:
            status = folder.read_status()
            kept = {"updated": status["updated"]} if "updated" in status else {}
            config = dump_yaml(spec.plain)
            seals = sealed(config, self.seals)
            message = status.get("message", "")
            folder.write_status(status["state"], status["step"], message, config=seals, **kept)
            said = {"overrides": spec.overrides, "choices": spec.choices}
            folder.write_config(config, said)
            for key in self.changes:
                log.note(f"{key}={flow(spec.plain[key])}")
        finally:
            log.close()


def continuation(
    run: str | os.PathLike[str],
    overrides: Sequence[str] = (),
    config_dir: str | None = None,
    trust: bool = False,
) -> Continuation:
    """Return how a run would go on with some overrides; nothing is changed yet.

    Args:
        run: its folder.
        overrides: what is to change.
        config_dir: of the user's own config files.
        trust: build what the run's config names, whoever began it.

    Raises:
        UserError: no such run, or a change that a run can't take.
    """
    refuse_executor(overrides, "of many runs, and this is one")
    with hydra_session(config_dir) as composer:
        folder = RunDir.existing(run, whole="optbench.resume_sweep goes on with it; ")
        saved = read_saved(folder, trust)
        spec = _changed(composer, folder, saved, overrides)
        asked = frozenset(str(o.key_or_group) for o in composer.parse(overrides))
    changes = differences(saved.plain, spec.plain)
    refuse_fixed(changes, chosen_anew(folder.read_overrides()["choices"], spec.choices))
    told = (f"{CHANGED}{key}={flow(new)} (was {flow(old)})" for key, (old, new) in changes.items())
    spec = replace(spec, changes=tuple(told))
    return Continuation(folder, spec, saved.seals, changes, asked)


def _changed(composer: Composer, folder: RunDir, saved: Saved, overrides: Sequence[str]) -> RunSpec:
    """Return the run with the overrides."""
    said = folder.read_overrides()
    choices = said["choices"]
    saved.check(folder, composer.files)
    if saved.plain.get("player"):
        refuse_unowned(saved.plain, {}, choices, overrides)
    plain = apply(composer, saved.plain, overrides, choices.get("task", "auto"))
    chosen = {str(o.get_key_element()): str(o.value()) for o in composer.parse(overrides)}
    choices = {g: chosen.get(g, c) for g, c in choices.items()}
    every = [*said["overrides"], *overrides]
    spec = RunSpec(from_plain(plain), plain, every, choices, str(folder.path))
    return of_its_sweep(spec, folder)
