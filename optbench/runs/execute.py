"""One run, from its specification to its summary."""

from __future__ import annotations

import shutil
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from optbench.assemble.data import described, notes_on
from optbench.config.counted import counted
from optbench.config.run_spec import RunSpec
from optbench.console import print_error, shown
from optbench.errors import UserError, is_machines
from optbench.files import dump_yaml
from optbench.rundir import RunDir
from optbench.runs.best import scores_of_best
from optbench.runs.collector import at_work
from optbench.runs.graph_use import graph_use
from optbench.runs.live_doctor import LiveDoctor
from optbench.runs.live_probe import live_probes
from optbench.runs.log import Log, heard, say_taken
from optbench.runs.lost import refuse_lost
from optbench.runs.restart import remember
from optbench.runs.result import EXIT_FAILED, RunResult, machines_mark
from optbench.runs.sinks import end_hparams, make_recorder
from optbench.runs.start import start_weights
from optbench.runs.summary import summary
from optbench.runs.surroundings import check_goes_on, check_surroundings
from optbench.runs.trust import Seal, sealed
from optbench.shapes import COSTS

if TYPE_CHECKING:
    from optbench.assemble.experiment import Experiment
    from optbench.monitor.record import Position, Recorder
    from optbench.training.callback import Callback
    from optbench.training.checkpointer import Checkpointer
    from optbench.training.distributed import World
    from optbench.training.settings import Outcome
    from optbench.training.signals import Interruption
    from optbench.training.trainer import Trainer


def execute(
    spec: RunSpec,
    log: Log,
    folder: RunDir | None = None,
    resume: bool = False,
    seals: Sequence[Seal] = (),
    callbacks: Sequence[Callback] = (),
    raising: bool = False,
    one_of_many: bool = False,
) -> RunResult:
    """Do one run.

    Everything is built before the folder is made, so that bad input leaves nothing behind.

    Args:
        spec: what to run.
        log: whom to tell.
        folder: the run folder, if it is there already; None makes it.
        resume: go on from the folder's newest checkpoint, if there is one.
        seals: of the configs that the run had before.
        callbacks: told of steps, evaluations and checkpoints.
        raising: raise what ends the run as failed, once the folder says so, instead of giving a
            result that does.
        one_of_many: of a sweep, which wants each run done: one that keeps no checkpoints is begun
            anew where it was stopped.

    Raises:
        UserError: the config does not fit together, or the folder can't be resumed.
    """
    run, told = build_run(spec, log, folder, resume, seals=seals, callbacks=callbacks)
    run.one_of_many = one_of_many
    with at_work(), heard(log):
        return run.do(resume, told, raising)


def build_run(
    spec: RunSpec,
    log: Log,
    folder: RunDir | None,
    resume: bool,
    *,
    seals: Sequence[Seal] = (),
    callbacks: Sequence[Callback] = (),
) -> tuple[FolderRun, list[Callback]]:
    """Return a run that is built, in its folder, and whom it tells; see `execute`."""
    data = check_surroundings(spec, resume)
    from optbench.training.callback import check_callbacks

    check_callbacks(callbacks)
    import rich.style  # noqa: F401  (draws a random number; later, the seeded ones would shift)

    from optbench.assemble.experiment import build_experiment
    from optbench.training.checkpoint import steps
    from optbench.training.distributed import join

    going_on = resume and folder is not None and steps(folder.checkpoints)
    world = join(spec.config.device, spec.config.rank_timeout)
    try:
        # A checkpoint has its own.
        weights = None if going_on else start_weights(spec.config, world)
        experiment = build_experiment(spec.config, data, world, weights, spec.names)
        told = [*live_probes(experiment, log.warn), *callbacks]
    except Exception as error:
        cause = world.cause(error)
        if cause is error:
            raise
        raise cause from error
    made = folder is None
    if folder is not None and resume:
        check_goes_on(spec.config, folder, data)
    if folder is None:
        # Every rank composed a name of its own, by its own clock; rank 0's holds.
        folder = world.on_main(lambda: remember(RunDir.reserve(spec.folder)))
    return FolderRun(spec, log, folder, experiment, world, made, seals), told


class FolderRun:
    """The trainer in its folder: sinks, status, summary, and what goes wrong.

    Attributes:
        environment: what env.json is to say beside the usual.
        one_of_many: as in `execute`.
    """

    def __init__(
        self,
        spec: RunSpec,
        log: Log,
        folder: RunDir,
        experiment: Experiment,
        world: World,
        made: bool,
        seals: Sequence[Seal],
    ) -> None:
        self.spec, self.log, self.folder = spec, log, folder
        self.experiment, self.world = experiment, world
        self.made, self.seals = made, list(seals)
        self.started = time.perf_counter()
        self.running = self.told = False
        self.resumed_at: int | None = None
        self.keeper: Checkpointer | None = None
        self.recorder: Recorder | None = None
        self.doctor: LiveDoctor | None = None
        self.environment: dict[str, Any] = {}
        self.one_of_many = False

    def do(self, resume: bool, callbacks: Sequence[Callback], raising: bool) -> RunResult:
        """Train, and write down how it ended, whatever happens."""
        from optbench.training.signals import Interruption

        with Interruption().listening() as interruption:
            try:
                trainer = self.open(resume, callbacks, interruption)
                return self.end(trainer.fit(), interruption)
            except (KeyboardInterrupt, SystemExit, Exception) as error:  # exit() in a model
                failed = self.failed(error)
                if raising:
                    raise
                return failed

    def open(
        self, resume: bool, callbacks: Sequence[Callback], interruption: Interruption
    ) -> Trainer:
        """Return the trainer, gone on from the newest checkpoint if the run is resumed."""
        self.world.on_main(lambda: self.log.open(self.folder.log))
        self.keeper = self.experiment.keeper(self.folder)
        self.resumed_at, earlier = self._resume() if resume else (None, {})
        if self.world.is_main:
            self._write_down(resume)
        self.doctor = self._doctor()
        self.recorder = self._recorder(self.resumed_at, earlier, self.doctor)
        trainer = self.experiment.trainer(self.recorder, self.keeper, interruption, callbacks)
        if self.resumed_at is not None:
            texts = self.folder.last_texts(self.resumed_at)
            trainer.reporter.go_on_from(self.folder.last_values(), texts)
        self.running = True
        if self.doctor is not None:
            self.doctor.begin(trainer.request_stop)
        return trainer

    def end(self, outcome: Outcome, interruption: Interruption) -> RunResult:
        """Write down how a run ended that is trained and finished."""
        assert self.recorder is not None
        end_hparams(self.recorder, outcome.state)
        self.recorder.close()
        if self.doctor is not None:
            step = self.experiment.state.progress.step
            self.doctor.end(outcome.state, step, outcome.message)
        if outcome.state in ("finished", "stopped_early") and self.keeper is not None:
            outcome.metrics |= scores_of_best(
                self.experiment, self.folder, outcome.metrics, interruption
            )
        return self._ended(outcome)

    def _write_down(self, resume: bool) -> None:
        """Write down what is run, and with what; the seal before the config that it is of."""
        from optbench.runs.environment import environment

        config = dump_yaml(self.spec.plain)
        seals = sealed(config, self.seals)
        # A checkpoint after the one that the run goes on from is damaged, so this is the newest.
        kept: dict[str, Any] = {"checkpoint": self.resumed_at} if self.resumed_at else {}
        self._status("running", config=seals, **kept)
        self.told = True
        said = {"overrides": self.spec.overrides, "choices": self.spec.choices}
        self.folder.write_config(config, said)
        made_with = environment(self.world.device, self.world.size, self.experiment.implementation)
        made_with["cuda_graph"] = graph_use(self.experiment, self.folder, self.log)
        made_with |= {"data": described(self.experiment.dataset), **self.environment}
        self.folder.write_json("env.json", made_with)
        if self.keeper is not None:
            self.keeper.said = {"config": seals[0]}
            folder = self.folder
            self.keeper.on_written = lambda step: folder.write_status(
                "running", step, checkpoint=step
            )
        if self.made:
            say_taken(self.spec.folder, self.folder.path, self.log)
        verb = "resuming" if resume else "training"
        self.log.say(f"{verb} {self.spec.config.name} in {shown(self.folder.path)}")
        for line in self.spec.changes:  # only now: before, it may still be refused
            self.log.say(line)
        if self.experiment.validation is None and self.spec.config.checkpoint.best == "auto":
            self.log.note("no validation set (dataset.val_fraction=0): no best checkpoint")
        new = [] if resume else [*self.spec.warnings, *self.experiment.notes]
        for line in [*new, *notes_on(self.experiment.dataset)]:
            self.log.warn(line)

    def _resume(self) -> tuple[int | None, dict[str, Position]]:
        """Go on from the newest checkpoint; drop what was recorded after it.

        Nothing in the folder is changed before it is certain that the run can go on.

        Returns:
            The step, None for the beginning, and the lengths of the event files until then.
        """
        keeper = self.keeper or self.experiment.reader(self.folder)
        keeper.steps_per_epoch = self.experiment.feed.steps_per_epoch
        warnings: list[str] = []
        loaded = keeper.resume(warnings.append)
        if loaded is None:
            anew = self.one_of_many and self.keeper is None
            self.world.on_main(lambda: refuse_lost(self.folder, anew))
        step = None if loaded is None else loaded.step
        if step is not None:
            self._check_length(step)
        if not self.world.is_main:
            return step, {}
        from optbench.monitor.record_files import cut, positions_of

        for line in [*warnings, *(f"{line}; it is written anew" for line in self.folder.damaged())]:
            self.log.warn(line)
        positions: dict[str, Position] = {}
        if loaded is None:
            self.log.warn("there is no checkpoint: the run starts from the beginning")
        else:
            keeper.put_aside_damaged(loaded.step)
            positions = positions_of(loaded.said)
        return step, cut(self.folder, positions, step or 0, self.log.warn, self.log.note)

    def _check_length(self, taken: int) -> None:
        total_steps, config = self.experiment.settings.total_steps, self.spec.config
        if taken > total_steps:
            key = "epochs" if config.steps is None else "steps"
            raise UserError(
                f"{key}={getattr(config, key)}: {counted(total_steps, 'step')}, "
                f"but {shown(self.folder.path)} has taken {taken}"
            )

    def _doctor(self) -> LiveDoctor | None:
        """Return who looks at the records of rank 0, with those of the run's part before seen."""
        config = self.spec.config
        if not (self.world.is_main and config.monitor.doctor):
            return None
        sizes = described(self.experiment.dataset)
        doctor = LiveDoctor(config, self.spec.plain, sizes, self.log.warn)
        if self.resumed_at is not None:
            doctor.go_on_from(self.folder.read_metrics())
        return doctor

    def _recorder(
        self,
        resumed_at: int | None,
        earlier: Mapping[str, Position],
        doctor: LiveDoctor | None,
    ) -> Recorder:
        if self.world.is_main:
            return make_recorder(
                self.spec, self.folder, self.log, self.experiment, resumed_at, earlier, doctor
            )
        from optbench.monitor.record import Recorder

        return Recorder()

    def _status(self, state: str, message: str = "", **more: Any) -> None:
        if self.world.is_main:
            step = self.experiment.state.progress.step
            self.folder.write_status(state, step, message, **more)

    def failed(self, error: BaseException) -> RunResult:
        """Write the failure down; a mistake of the user's is then told by the caller.

        Nothing here raises what a full disk would: the error is told, wherever else it can't be.
        """
        from optbench.assemble.blame import Parts
        from optbench.training.notes import RankError, SilentRankError, said

        built = self.experiment
        parts = Parts(built.config, built.choices, built.state.task, {})
        error = self.world.cause(parts.fault_later(error) or error)
        if isinstance(error, KeyboardInterrupt):
            return self._interrupted()
        step = self.experiment.state.progress.step
        if not self.world.is_main and not isinstance(error, UserError):  # which the caller tells
            own = not isinstance(error, RankError)  # which rank 0 tells with the rank's traceback
            text = "".join(traceback.format_exception(error)) if own else f"optbench: {error}"
            print_error(f"[rank {self.world.rank}] {text}", lines=True)
        for end in (self.keeper and self.keeper.wait, self.recorder and self.recorder.close):
            try:
                end and end()
            except Exception as other:  # of the checkpoint that was being written, or the records
                if other is not error and not isinstance(other, ValueError):
                    error.add_note(f"and then: {said(other)}")
        known = isinstance(error, UserError | OSError)
        gone = self.made and known and not self.running  # nothing of it is a run yet
        message = said(error)
        with suppress(OSError):
            if not known:
                self.log.note_lines("".join(traceback.format_exception(error)))
            elif self.running:  # else nothing has changed yet
                self.log.note(message)
        with suppress(OSError):
            if self.told and not gone:
                self._status("failed", message, **machines_mark(error))
        with suppress(OSError):
            self.log.close()
        if gone and self.world.is_main:
            shutil.rmtree(self.folder.path, ignore_errors=True)
        if isinstance(error, UserError):
            raise error.met(self.running)
        return RunResult(
            self.folder,
            "failed",
            step,
            message,
            exit_code=EXIT_FAILED,
            explained=known or isinstance(error, SilentRankError),
            machines=is_machines(error),
        )

    def _interrupted(self) -> RunResult:
        """Write down that the run was ended at once; it goes on from the checkpoint that it has."""
        for end in (self.keeper and self.keeper.wait, self.recorder and self.recorder.close):
            with suppress(Exception):
                end and end()
        kept = self.folder.read_status().get("checkpoint", 0)
        step = self.experiment.state.progress.step
        message = "interrupted" + (f", without a checkpoint of step {step}" if kept != step else "")
        with suppress(OSError):
            if self.told and self.world.is_main:
                self.folder.write_status("preempted", kept, message)
            self.log.say(message)
            self.log.close()
        return RunResult(self.folder, "preempted", kept, message, exit_code=130)

    def _ended(self, outcome: Outcome) -> RunResult:
        progress = self.experiment.state.progress
        told = summary(self.experiment, outcome, time.perf_counter() - self.started)
        code = {"diverged": EXIT_FAILED, "preempted": 128 + outcome.signal}.get(outcome.state, 0)
        if self.world.is_main:
            self.folder.write_json("summary.json", told)
            self._status(outcome.state, outcome.message)
        message = f": {outcome.message}" if outcome.message else ""
        self.log.say(f"{outcome.state.replace('_', ' ')} at step {progress.step}{message}")
        self.log.close()
        return RunResult(
            self.folder,
            outcome.state,
            progress.step,
            outcome.message,
            outcome.metrics,
            told["best"],
            code,
            told["target"],
            outcome.texts,
            outcome.scored,
            costs={key: told[key] for key in COSTS},
        )
