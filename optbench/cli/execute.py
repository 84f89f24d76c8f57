"""One run, from its job to its summary."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optbench.build.data import check_same_data, dataset, described, notes_on
from optbench.cli.collector import at_work
from optbench.cli.compose import Job
from optbench.cli.log import Log, heard, print_error
from optbench.cli.sinks import end_hparams, make_recorder
from optbench.errors import UserError
from optbench.rundir import RunDir

if TYPE_CHECKING:
    from optbench.build.experiment import Experiment
    from optbench.monitor.record import Recorder
    from optbench.training.distributed import World
    from optbench.training.keeper import Keeper
    from optbench.training.settings import Outcome

EXIT_FAILED = 1


@dataclass(frozen=True)
class Result:
    """What a run came to.

    Attributes:
        folder: of the run.
        state: one of `rundir.STATES`, or what a sweep's table says of a run that it did not do.
        step: the last one.
        message: why it ended so, if there is something to say.
        metrics: the last value of each metric.
        best: metric, value and step of the best evaluation, or empty.
        exit_code: 0; 1 for a diverged or failed run; 128 + the signal's number.
        target: what was good enough, and when it was reached, or empty.
        texts: the last samples of text.
        scored: which weights were scored, None for those that were trained.
    """

    folder: RunDir
    state: str
    step: int
    message: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    best: Mapping[str, Any] = field(default_factory=dict)
    exit_code: int = 0
    target: Mapping[str, Any] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    scored: str | None = None


def execute(job: Job, log: Log, folder: RunDir | None = None, resume: bool = False) -> Result:
    """Does one run.

    Everything is built before the folder is made, so that bad input leaves nothing behind.

    Args:
        job: what to run.
        log: whom to tell.
        folder: the run folder, if it is there already; None makes it.
        resume: go on from the folder's newest checkpoint, if there is one.

    Raises:
        UserError: the config does not fit together, or the folder can't be resumed.
    """
    data = dataset(job.config)
    check_device(job.config.device)
    if job.config.deterministic:
        _deterministic_environment()
    import rich.style  # noqa: F401  (draws a random number; later, the seeded ones would shift)

    from optbench.build.experiment import build_experiment
    from optbench.training.distributed import join

    world = join(job.config.device)
    experiment = build_experiment(job.config, data, world)
    if folder is not None and resume:
        _check_length(job, folder, experiment.settings.total_steps)
        check_same_data(job.config, folder.read_json("env.json").get("data"), data)
    if folder is None:
        # Every rank composed a name of its own, by its own clock; rank 0's holds.
        folder = world.on_main(lambda: RunDir.reserve(job.folder))
    with at_work(), heard(log):
        return _Run(job, log, folder, experiment, world).do(resume)


class _Run:
    """The trainer in its folder: sinks, status, summary, and what goes wrong."""

    def __init__(
        self, job: Job, log: Log, folder: RunDir, experiment: Experiment, world: World
    ) -> None:
        self.job, self.log, self.folder = job, log, folder
        self.experiment, self.world = experiment, world
        self.started = time.perf_counter()
        self.running = False

    def do(self, resume: bool) -> Result:
        """Trains, and writes down how it ended, whatever happens."""
        from optbench.training.signals import Interruption

        with Interruption().listening() as interruption:
            recorder = None
            try:
                self.world.on_main(lambda: self.log.open(self.folder.log))
                keeper = self.experiment.keeper(self.folder)
                resumed_at = self._resume(keeper) if resume else None
                if self.world.is_main:
                    self._write_down(resume)
                recorder = self._recorder(resumed_at)
                trainer = self.experiment.trainer(recorder, keeper, interruption)
                if resumed_at is not None:
                    texts = self.folder.last_texts(resumed_at)
                    trainer.reporter.go_on_from(self.folder.last_values(), texts)
                self._status("running")
                self.running = True
                outcome = trainer.fit()
                end_hparams(recorder, outcome.state)
            except (KeyboardInterrupt, Exception) as error:
                return self._failed(error)
            finally:
                if recorder is not None:
                    recorder.close()
            return self._ended(outcome)

    def _write_down(self, resume: bool) -> None:
        from optbench.cli.environment import environment

        device, size = self.world.device, self.world.size
        said = {"overrides": self.job.overrides, "choices": self.job.choices}
        self.folder.write_config(self.job.plain, said)
        made_with = environment(device, size, self.experiment.implementation)
        made_with["data"] = described(self.experiment.dataset)
        self.folder.write_json("env.json", made_with)
        verb = "resuming" if resume else "training"
        self.log.say(f"{verb} {self.job.config.name} in {shown(self.folder.path)}")
        if self.experiment.validation is None and self.job.config.checkpoint.best == "auto":
            self.log.note("no validation set (dataset.val_fraction=0): no best checkpoint")
        for note in notes_on(self.experiment.dataset):
            self.log.warn(note)

    def _resume(self, keeper: Keeper | None) -> int | None:
        """Goes on from the newest checkpoint; what was recorded after it is dropped."""
        step = (keeper or self.experiment.reader(self.folder)).resume(self.log.warn)
        if step is None:
            self.log.warn("there is no checkpoint: the run starts from the beginning")
        if self.world.is_main:
            from optbench.monitor.tensorboard import cut_events

            last = -1 if step is None else step
            self.folder.cut_metrics(last)
            cut_events(self.folder.tensorboard, last)
        return step

    def _recorder(self, resumed_at: int | None) -> Recorder:
        if self.world.is_main:
            return make_recorder(self.job, self.folder, self.log, self.experiment, resumed_at)
        from optbench.monitor.record import Recorder

        return Recorder()

    def _status(self, state: str, message: str = "") -> None:
        if self.world.is_main:
            self.folder.write_status(state, self.experiment.state.progress.step, message)

    def _failed(self, error: BaseException) -> Result:
        """Writes the failure down; a mistake of the user's is then told by the caller."""
        step = self.experiment.state.progress.step
        if not self.world.is_main:
            text = "".join(traceback.format_exception(error))
            print_error(f"[rank {self.world.rank}] {text}", lines=True)
        if isinstance(error, UserError):
            self.log.note(str(error))
            if self.running:
                self._status("failed", str(error))
            self.log.close()
            raise error
        message = f"{type(error).__name__}: {' '.join(str(error).split())}"
        self.log.note_lines("".join(traceback.format_exception(error)))
        self._status("failed", message)
        self.log.close()
        code = 130 if isinstance(error, KeyboardInterrupt) else EXIT_FAILED
        return Result(self.folder, "failed", step, message, exit_code=code)

    def _ended(self, outcome: Outcome) -> Result:
        state, progress = self.experiment.state, self.experiment.state.progress
        best: dict[str, Any] = {}
        if state.best.value is not None:
            best = {"metric": state.best.metric, "mode": state.best.mode}
            best |= {"value": state.best.value, "step": state.best.step}
        code = {"diverged": EXIT_FAILED, "preempted": 128 + outcome.signal}.get(outcome.state, 0)
        if self.world.is_main:
            self.folder.write_json("summary.json", self._summary(outcome, best))
            self._status(outcome.state, outcome.message)
        message = f": {outcome.message}" if outcome.message else ""
        self.log.say(f"{outcome.state} at step {progress.step}{message}")
        self.log.close()
        return Result(
            self.folder,
            outcome.state,
            progress.step,
            outcome.message,
            outcome.metrics,
            best,
            code,
            self._target(),
            outcome.texts,
            outcome.scored,
        )

    def _target(self) -> dict[str, Any]:
        reached = self.experiment.state.reached
        return {} if reached.metric is None else vars(reached)

    def _summary(self, outcome: Outcome, best: Mapping[str, Any]) -> dict[str, Any]:
        progress = self.experiment.state.progress
        speed = progress.examples / progress.seconds if progress.seconds else 0.0
        return {
            "state": outcome.state,
            "message": outcome.message,
            "step": progress.step,
            "epoch": progress.epoch + progress.index / self.experiment.feed.steps_per_epoch,
            "examples": progress.examples,
            "skipped_steps": progress.skipped,
            "scored_weights": outcome.scored,
            "final": outcome.metrics,
            "best": best,
            "target": self._target(),
            "samples": outcome.texts,
            "parameters": self.experiment.parameters,
            "training_seconds": progress.seconds,
            "wall_seconds": time.perf_counter() - self.started,
            "examples_per_second": speed,
            "peak_memory_mib": outcome.metrics.get("memory/peak_mib"),
        }


def shown(path: Path) -> str:
    """A path as short as it can be typed here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _check_length(job: Job, folder: RunDir, total_steps: int) -> None:
    from optbench.training.checkpoint import steps

    taken = max(steps(folder.checkpoints), default=0)
    if taken > total_steps:
        key = "epochs" if job.config.steps is None else "steps"
        value = getattr(job.config, key)
        raise UserError(
            f"{key}={value}: {total_steps} steps, but {shown(folder.path)} has taken {taken}"
        )


def check_device(device: str) -> None:
    """UserError if torch does not find the device that was asked for."""
    if device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise UserError("device=cuda: torch finds no CUDA device here; use device=cpu")


def _deterministic_environment() -> None:
    # cuBLAS reads it when it starts; without it its results may differ from run to run.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
