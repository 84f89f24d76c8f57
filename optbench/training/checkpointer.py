"""When and what a run saves, and how it goes on from there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from optbench.errors import UserError
from optbench.monitor.record import Position
from optbench.monitor.watching import Watching
from optbench.step_folders import checkpoint_folder
from optbench.tasks.base import Task
from optbench.training import checkpoint, rng
from optbench.training.distributed import World
from optbench.training.likeness import refuse_unlike
from optbench.training.player import Player
from optbench.training.position import Progress
from optbench.training.precision import Precision
from optbench.training.serialise import CheckpointBuffer
from optbench.training.strategy import Strategy
from optbench.training.trackers import BestTracker, TargetTracker

CLOCKED = ("throughput/", "memory/")
"""What begins the tags of what is another number each time, which no checkpoint holds."""


def is_clocked(tag: str) -> bool:
    """Return whether a metric is one of this machine at this time, not of the run."""
    return tag.startswith(CLOCKED)


class RunState:
    """All that changes in a run, gathered into plain data and put back.

    Args:
        players, precision, progress, best, stopping, reached, task: what has a state.
        world: the ranks; each has random generators, running losses, and what the task carries
            from one step to the next, of its own.
        strategy: how they train; gathers the players' states.

    Attributes:
        metrics: the last value of each, by tag.
        watching: what it costs to watch the run.
        generators: gives the state of this rank's random generators.
    """

    def __init__(
        self,
        players: Sequence[Player],
        precision: Precision,
        progress: Progress,
        best: BestTracker,
        stopping: BestTracker,
        reached: TargetTracker,
        task: Task,
        world: World,
        strategy: Strategy,
    ) -> None:
        self.players, self.precision, self.progress = players, precision, progress
        self.best, self.stopping, self.reached = best, stopping, reached
        self.task, self.world, self.strategy = task, world, strategy
        self.metrics: dict[str, float] = {}
        self.watching = Watching()
        self.generators: Callable[[], dict[str, Any]] = rng.capture

    def shared(self) -> dict[str, Any]:
        """Return what all ranks have in common, on rank 0, and on each what it has rows of.

        Every rank calls it.
        """
        return {
            "progress": self.progress.state_dict(),
            "players": {player.name: self.strategy.state(player) for player in self.players},
            "scaler": self.precision.state_dict(),
            "best": self.best.state_dict(),
            "stopping": self.stopping.state_dict(),
            "reached": self.reached.state_dict(),
            "watching": self.watching.state_dict(),
            "metrics": {tag: v for tag, v in self.metrics.items() if not is_clocked(tag)},
        }

    def own(self) -> dict[str, Any]:
        """Return this rank's part."""
        losses = {player.name: player.loss.state_dict() for player in self.players}
        return {"rng": self.generators(), "losses": losses, "task": self.task.state_dict()}

    def carries_on(self, loaded: checkpoint.Loaded) -> bool:
        """Return whether each rank has the lanes that it had: what is carried belongs to them."""
        return loaded.ranks == self.world.size

    def load(self, loaded: checkpoint.Loaded) -> None:
        """Go on from a checkpoint; this rank's part stays as it is if it had none."""
        shared = loaded.shared
        self.progress.load_state_dict(shared["progress"])
        for player in self.players:
            self.strategy.load(player, shared["players"][player.name])
        self.precision.load_state_dict(shared["scaler"])
        self.best.load_state_dict(shared["best"])
        self.stopping.load_state_dict(shared["stopping"])
        self.reached.load_state_dict(shared["reached"])
        self.watching.load_state_dict(shared.get("watching"))
        metrics = shared.get("metrics", {})  # of an older checkpoint: there were none in it
        refuse_unlike(list(metrics.items()), [("", 0.0)] * len(metrics), "metrics")
        self.metrics.clear()
        self.metrics.update(metrics)
        if loaded.own is None:
            return
        for player in self.players:
            player.loss.load_state_dict(loaded.own["losses"][player.name])
        if self.carries_on(loaded):
            self.task.load_state_dict(loaded.own["task"])
        rng.restore(loaded.own["rng"])


class Checkpointer:
    """Saves a run's state, at once or in a thread, and prunes old checkpoints.

    Args:
        folder: of the checkpoints.
        state: what is saved.
        keep_last: how many of the newest are kept, at least two.
        keep_best: never prune the best step.
        in_background: write in a thread; the training waits only for a copy of the state.

    Attributes:
        said: further entries of each manifest, such as the checksum of config.yaml.
        on_written: called on rank 0 with a step when its checkpoint is on the disk.
        steps_per_epoch: bounds the position of a checkpoint that is gone on from; 0: nobody knows.
    """

    def __init__(
        self,
        folder: Path,
        state: RunState,
        keep_last: int = 2,
        in_background: bool = False,
        keep_best: bool = True,
    ) -> None:
        self.folder, self.state, self.keep_last = folder, state, keep_last
        self._in_background, self._keep_best = in_background, keep_best
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self._shared, self._own, self._rows = (CheckpointBuffer() for _ in range(3))
        self._saved: tuple[int, int] | None = None
        self.said: Mapping[str, Any] = {}
        self.on_written: Callable[[int], None] = lambda step: None
        self.steps_per_epoch = 0

    def save(self, records: Mapping[str, Position] | None = None) -> bool:
        """Save the present step, unless it is saved already; return whether it was not.

        Args:
            records: the files of records as they are; see `Recorder.positions`.
        """
        step = self.state.progress.step
        if self._saved == self._mark():
            return False
        self.wait()
        parts = self._parts()
        has_best = self._keep_best and self.state.best.value is not None
        best = self.state.best.step if has_best else None
        said = {**self.said, "records": dict(records or {}), "best": best}
        mark = self._mark()
        if not self._in_background:
            self._write(step, parts, best, said)
            self._saved = mark
            return True
        self._saved = mark
        self._thread = threading.Thread(target=self._guarded, args=(step, parts, best, said))
        self._thread.start()
        return True

    def _parts(self) -> dict[str, memoryview]:
        """Return the files that this rank writes: its own, that of its rows if it has some of each
        parameter, and on rank 0 the shared one."""
        world = self.state.world
        parts = {checkpoint.rank_file(world.rank): self._own.fill(self.state.own())}
        shared = self.state.shared()  # on every rank: a strategy may gather it
        if self.state.strategy.in_rows:
            from optbench.training.row_files import packed, taken_out

            shared, rows = taken_out(shared)
            parts[checkpoint.rows_file(world.rank)] = packed(rows, world.size, self._rows)
        if world.is_main:
            parts[checkpoint.SHARED] = self._shared.fill(shared)
        return parts

    def _guarded(self, *arguments: Any) -> None:
        try:
            self._write(*arguments)
        except BaseException as error:
            self._error = error

    def _write(
        self,
        step: int,
        parts: Mapping[str, memoryview],
        best: int | None,
        said: Mapping[str, Any],
    ) -> None:
        checkpoint.write_checkpoint(self.folder, step, parts, self.state.world, said)
        if self.state.world.is_main:
            self.on_written(step)
            checkpoint.prune(self.folder, self.keep_last, best)

    def wait(self) -> None:
        """Wait until nothing is being written; raise what the writing raised."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def resume(self, warn: Callable[[str], None]) -> checkpoint.Loaded | None:
        """Go on from the newest checkpoint that is whole and return it; None if there is none.

        Nothing on the disk is changed, but a name that a kill between two renames had left.

        Raises:
            UserError: all are damaged, one can't be read, or it is not of this run.
        """
        world = self.state.world
        step = world.on_main(lambda: checkpoint.newest_verified(self.folder, warn))
        if step is None:
            return None
        loaded = self.load(step)
        without = [
            str(rank) for rank, has in enumerate(world.gather(loaded.own is not None)) if not has
        ]
        if without and world.is_main:
            ranks = ", ".join(without)
            warn(f"rank {ranks} has no part in the checkpoint: its random numbers start anew")
        within_epoch = self.state.task.carries and self.state.progress.index > 0
        if within_epoch and not self.state.carries_on(loaded) and world.is_main:
            said = f"the checkpoint is of {loaded.ranks} rank(s), this run has {world.size}"
            warn(f"{said}: the hidden state that task.carry=true carries begins at zeros")
        self._saved = self._mark()
        return loaded

    def load(self, step: int) -> checkpoint.Loaded:
        """Go on from a checkpoint that is whole; the disk is only read.

        Raises:
            UserError: it is not of this run, or of another version of optbench.
        """
        at = checkpoint_folder(self.folder, step)
        try:
            room = self.state.strategy.room
            loaded = checkpoint.read_checkpoint(self.folder, step, self.state.world, room)
            if loaded.said.get("format") != checkpoint.FORMAT:
                raise UserError(f"{at}: of another version of optbench, which has to go on with it")
            self.state.load(loaded)
        except (UserError, OSError, MemoryError):
            raise
        except Exception as error:  # its checksums hold, so it was made like this
            why = " ".join(f"{type(error).__name__}: {error}".split())
            raise UserError(f"{at}: it does not fit this run ({why[:300]})") from error
        progress = self.state.progress
        beyond = self.steps_per_epoch and progress.index >= self.steps_per_epoch
        if progress.step != step or progress.index < 0 or progress.epoch < 0 or beyond:
            raise UserError(f"{at}: its position is not one of this run's")
        return loaded

    def put_aside_damaged(self, step: int) -> None:
        """Rename the checkpoints after the one that the run goes on from."""
        checkpoint.put_aside_after(self.folder, step)

    def _mark(self) -> tuple[int, int]:
        """Return what a save of this step would hold: with or without the step's score."""
        return self.state.progress.step, self.state.progress.evaluated
