"""A run that is there, built to be looked at; nothing in its folder is changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from optbench.assemble.data import check_same_data, dataset
from optbench.assemble.experiment import Experiment, build_experiment
from optbench.compose.composer import hydra_session
from optbench.compose.resumed import apply, as_chosen, chosen_anew
from optbench.compose.workloads import differences
from optbench.config.run_spec import names_of
from optbench.config.schema import from_plain
from optbench.config.suggest import nearest
from optbench.errors import UserError
from optbench.instruments.look import Look
from optbench.launched import launched_ranks
from optbench.probe.asked import MAY_DIFFER
from optbench.rundir import FORMAT, RunDir
from optbench.runs.saved import read_saved
from optbench.runs.surroundings import check_device
from optbench.runs.weights import checkpoints, default_at, step_of
from optbench.step_folders import checkpoint_folder
from optbench.training import checkpoint
from optbench.training.checkpointer import Checkpointer
from optbench.training.distributed import join
from optbench.training.trainer import Trainer

HINT = "; --trust builds it all the same"


@dataclass
class Opened:
    """A run that can be looked at, at any of its checkpoints.

    Attributes:
        folder: the run's.
        experiment: built as the run was.
        trainer: whose looks are taken.
        player: whose parameters.
        names: the file that each group chose, for messages.
    """

    folder: RunDir
    experiment: Experiment
    trainer: Trainer
    player: str
    names: Mapping[str, str]

    def look(self, step: int) -> Look:
        """Return a look at the run after a step: players, optimizers and position of a checkpoint.

        The looks of a run are one model, which stands at the last that was asked for.

        Raises:
            UserError: the checkpoint is not there (any more), damaged, or not of this run.
        """
        at = checkpoint_folder(self.folder.checkpoints, step)
        if step not in checkpoint.steps(self.folder.checkpoints):
            raise UserError(f"{at}: no such checkpoint (any more)")
        problem = checkpoint.damage(at)
        if problem is not None:
            raise UserError(f"{at}: {problem}")
        Checkpointer(self.folder.checkpoints, self.experiment.state).load(step)
        for player in self.experiment.state.players:
            player.clear_gradients()
        return Look(self.trainer, self.player)


def open_to_look(
    run: str,
    overrides: Sequence[str] = (),
    player: str = "",
    trust: bool = False,
    config_dir: str | None = None,
) -> Opened:
    """Build a run as it was, from its own config.

    Args:
        run: its folder.
        overrides: how it is computed; see `MAY_DIFFER`.
        player: whose parameters are looked at; empty for the only one.
        trust: build what the config names, whoever began the run.
        config_dir: of the user's own config files.

    Raises:
        UserError: no such run; somebody else's with classes of his own; data that is missing.
    """
    if launched_ranks() > 1:
        raise UserError("probe: in one process, without torchrun")
    folder = RunDir.existing(run, "")
    if folder.format > FORMAT:
        raise UserError(
            f"{folder.path}: of a later version of optbench, which has to look at it "
            f"(format {folder.format}, this one's is {FORMAT})"
        )
    saved = read_saved(folder, trust, to_write=False, hint=HINT, as_trained=True)
    said = folder.read_overrides()
    with hydra_session(config_dir) as composer:
        saved.check(folder, composer.files)
        task = said["choices"].get("task", "auto")
        chosen = {str(o.key_or_group): str(o.value()) for o in composer.parse(overrides)}
        plain = apply(composer, saved.plain, overrides, task, "when a run is probed")
    anew = chosen_anew(said["choices"], chosen)
    for key, (old, new) in differences(saved.plain, plain).items():
        if key.partition(".")[0] not in MAY_DIFFER:
            word, was = as_chosen(key, old, new, anew)
            raise UserError(f"{word}: not when a run is probed (it is {was})")
    config = from_plain(plain)
    config = dataclasses.replace(
        config,
        compile=False,  # second derivatives want the model as it is written
        activation_checkpointing=False,
        checkpoint=dataclasses.replace(config.checkpoint, async_write=False),
    )
    player = _player(list(config.players), player, folder)
    check_device(config.device)
    data = dataset(config)
    check_same_data(config, folder.read_json("env.json").get("data"), data)
    names = names_of({**said["choices"], **chosen}, [*said["overrides"], *overrides])
    experiment = build_experiment(config, data, join(config.device), None, names)
    return Opened(folder, experiment, experiment.trainer(), player, names)


def _player(there: Sequence[str], wanted: str, folder: RunDir) -> str:
    """Return whose parameters are looked at; raise UserError where that is not known."""
    listed = " and ".join(there)
    if not wanted and len(there) > 1:
        raise UserError(f"{folder.path}: it has {listed}: whose? player={there[0]}")
    if wanted and wanted not in there:
        raise UserError(f"player={wanted}: no such player; there is {listed}")
    return wanted or there[0]


def steps_asked(folder: RunDir, at: str | int | None) -> list[int]:
    """Return the steps of the checkpoints that are meant.

    Args:
        folder: the run's.
        at: `best`, `last`, `all`, a step, or several with commas; None is the best, else the last.

    Raises:
        UserError: there is none.
    """
    if at is None:
        return [step_of(folder, default_at(folder))]
    if at == "all":
        found = checkpoints(folder).steps
        return list(found) if found else [step_of(folder, "last")]
    named = [part.strip() for part in at.split(",")] if isinstance(at, str) else [at]
    for each in named:
        if isinstance(each, str) and each not in ("best", "last") and not each.isdecimal():
            near = nearest(each, ("best", "last", "all"))
            hint = f"; did you mean {near}?" if near else ""
            expected = f"best, last, all, a step, or several with commas{hint}"
            raise UserError(f"{each}: no checkpoint is called that; expected {expected}")
    return sorted({step_of(folder, each) for each in named})
