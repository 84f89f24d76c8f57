"""The verb `resume`: going on with a run from its own config."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from omegaconf import OmegaConf

from optbench.cli.execute import execute, shown
from optbench.cli.log import Log, print_lines
from optbench.cli.plan import read_plan
from optbench.cli.report import finish
from optbench.cli.saved import Saved, read_saved
from optbench.cli.sweep import of_its_sweep, recorded, resume_sweep
from optbench.compose.composer import Composer, hydra_session
from optbench.compose.explain import unresolved, value_of
from optbench.compose.files import GROUPS, OVERLAYS
from optbench.compose.players import refuse_unowned
from optbench.compose.workloads import differences, typed_value
from optbench.config.conform import conform
from optbench.config.interpolated import decoded
from optbench.config.keys import meant
from optbench.config.reserved import OF_READING
from optbench.config.run_spec import RunSpec
from optbench.config.schedules import VALUE_KEYS
from optbench.config.schema import from_plain
from optbench.errors import UserError
from optbench.files import dump_yaml
from optbench.rundir import PLAN, RunDir, path_of

FIXED = (
    "model",
    "dataset",
    "task",
    "seed",
    "batch_size",
    "shuffle",
    "optimizer._target_",
    "optimizer.name",
    "optimizer.groups",
    "optimizer.takes",
    "optimizer.companion._target_",
    "optimizer.decay_norm_and_bias",
    "optimizer.decay",
    "optimizer.layer_decay",
    "optimizer.implementation",
    "wrapper._target_",
    "optimizer.amsgrad",
    "optimizer.centered",
    "ema",
    "update_every",
    "data_root",
)
"""What a checkpoint's tensors, or its place in the order of examples, depend on."""

FREE = ("data_root", *(f"dataset.{key}" for key in OF_READING))
"""What of it may change all the same: where and how the same data is read."""


def resume(
    run: str,
    overrides: Sequence[str],
    config_dir: str | None,
    show: bool = False,
    trust: bool = False,
) -> int:
    """Goes on with a run or a sweep, or shows the config that it would go on with.

    Args:
        run: its folder.
        overrides: what is to change.
        config_dir: of the user's own config files.
        show: the config only.
        trust: build what the run's config names, whoever began it.

    Raises:
        UserError: no such run, or a change that a run can't take.
    """
    log = Log()
    path = path_of(run)
    if os.path.lexists(path / PLAN):
        plan = read_plan(path, trust)
        with hydra_session(config_dir or plan.config_dir) as composer:
            return resume_sweep(composer, RunDir(path.absolute()), plan, overrides, log, trust)
    with hydra_session(config_dir) as composer:
        folder = RunDir.existing(run)
        saved = read_saved(folder, trust)
        spec = changed_spec(composer, folder, saved, overrides)
    changes = differences(saved.plain, spec.plain)
    refuse_fixed(changes)
    if folder.done and not show and not goes_on(str(folder.state), changes):
        log.tell(f"{shown(folder.path)} is {folder.state}: nothing is left to do")
        if changes:
            names = ", ".join(changes)
            log.warn(f"{names}: no effect on a run that has ended; epochs=N makes it longer")
        kept = folder.read_status().get("checkpoint")
        if kept is not None and not (folder.checkpoints / f"step-{kept:08d}").is_dir():
            log.warn(f"its checkpoint of step {kept} is gone, so it can't be made longer")
        return finish(recorded(folder), log)
    if show:
        print_lines(dump_yaml(spec.plain).rstrip("\n"))
        return 0
    for key, (old, new) in changes.items():
        log.tell(f"changed: {key}={typed_value(new)} (was {typed_value(old)})")
    return finish(execute(spec, log, folder, resume=True, seals=saved.seals), log)


def changed_spec(
    composer: Composer, folder: RunDir, saved: Saved, overrides: Sequence[str]
) -> RunSpec:
    """The run with the overrides."""
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


def apply(
    composer: Composer, saved: Mapping[str, Any], overrides: Sequence[str], task: str
) -> dict[str, Any]:
    """The saved config with the overrides; the saved one is the schema of what may be set."""
    config = OmegaConf.create(copy.deepcopy(dict(saved)))
    touched = set()
    for override in composer.parse(overrides):
        key = override.key_or_group
        touched.add(key)
        if override.is_sweep_override() or override.is_delete() or key in OVERLAYS:
            raise UserError(f"{override.input_line}: not when a run is resumed")
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
        elif OmegaConf.select(config, key, default=_MISSING) is _MISSING:
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
    return composer.expand(conform({str(k): v for k, v in plain.items()}, reference))


_MISSING = object()
_PLAYERS = re.compile(r"^player\.\w+\.")


def goes_on(state: str, changes: Mapping[str, Any]) -> bool:
    """Whether a run that had ended has something left to do after the changes."""
    reasons = {"epochs", "steps"}
    if state in ("stopped_early", "diverged"):
        reasons |= {"early_stopping", "optimizer", "schedule", "clip", "nonfinite", "precision"}
    return any(_PLAYERS.sub("", key).partition(".")[0] in reasons for key in changes)


def refuse_fixed(changes: Mapping[str, Any]) -> None:
    """UserError if one of the changes is of something that can't change."""
    for key, (old, new) in changes.items():
        own = _PLAYERS.sub("", key)
        fixed = any(own == f or own.startswith(f + ".") for f in FIXED)
        if fixed and key not in FREE:
            was = typed_value(old)
            raise UserError(
                f"{key}={typed_value(new)}: can't change when a run is resumed (it is {was}); "
                "start a new run"
            )
