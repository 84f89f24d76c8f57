"""A run to be read, as its folder tells of it; nothing of it is changed.

The folder may be anybody's: what is read is plain data, and a model is built only of classes that
are optbench's, torch's, or those of this user's own runs.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optbench.compose.texts import check_texts
from optbench.config.keys import children, find, join
from optbench.config.suggest import nearest
from optbench.errors import UserError
from optbench.rundir import RunDir
from optbench.runs.lock import is_free
from optbench.runs.saved import read_plain, read_saved
from optbench.shapes import KILLED

if TYPE_CHECKING:
    import polars
    from torch import nn


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of a run that are whole.

    Attributes:
        steps: ascending.
        best: the step that scored best, if it is among them.
        last: the newest.
    """

    steps: tuple[int, ...] = ()
    best: int | None = None
    last: int | None = None


def _others_have(group: str, key: str) -> bool:
    """Return whether a choice of a group has a key."""
    from optbench.compose.composer import hydra_session

    with hydra_session() as composer:
        return bool(composer.files.having(group, key))


@dataclass(frozen=True)
class Run:
    """A run's folder, to be read. What changes while the run goes on is read anew each time.

    Attributes:
        path: the folder.

    Example:
        >>> run = optbench.open_run("runs/first")
        >>> run.state, run.config["optimizer"]["lr"]
        ('finished', 0.1)
    """

    path: Path

    @property
    def _folder(self) -> RunDir:
        return RunDir(self.path)

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """The resolved config, plain data.

        Raises:
            UserError: it can't be read, or is no config.
        """
        return read_plain(self._folder)

    def setting(self, key: str) -> Any:
        """Return the value of a dotted key of the config.

        None where this run has no such key, as `optimizer.momentum` of one with adam.

        Raises:
            UserError: no run has it, and one that this run has is spelled nearly so.

        Example:
            >>> run.setting("optimizer.lr")
            0.1
        """
        if not isinstance(key, str):
            raise UserError(f"setting: expected a key, such as 'optimizer.lr', not {key!r:.80}")
        at, _, last = key.rpartition(".")
        beside = find(self.config, at)
        if isinstance(beside, Mapping) and last not in beside:
            near = nearest(last, children(beside))
            if near is not None and not _others_have(at, last):
                raise UserError(f"{key}: no such key; did you mean {join(at, near)}?")
            inside = [
                f"{group}.{key}"
                for group, own in beside.items()
                if isinstance(own, Mapping) and key in own
            ]
            if not at and inside:
                raise UserError(f"{key}: no such key; did you mean {' or '.join(inside)}?")
        return find(self.config, key)

    @property
    def choices(self) -> Mapping[str, str]:
        """The file that each group chose, such as `optimizer: sgd`; empty if nobody knows."""
        choices: dict[str, str] = self._folder.read_overrides()["choices"]
        return choices

    @property
    def overrides(self) -> list[str]:
        """What was said on the command line, or to `train`; empty if nobody knows."""
        overrides: list[str] = self._folder.read_overrides()["overrides"]
        return overrides

    @property
    def tags(self) -> list[str]:
        """The words that it is found by.

        Example:
            >>> run.tags
            []
        """
        tags = self.config.get("tags")
        return [str(tag) for tag in tags] if isinstance(tags, list | tuple) else []

    @property
    def notes(self) -> str:
        """What there is to remember of it, empty if nothing is."""
        notes = self.config.get("notes")
        return notes if isinstance(notes, str) else ""

    @property
    def status(self) -> Mapping[str, Any]:
        """`status.json`: state, step, times, message; empty where it is missing or damaged."""
        return self._folder.read_status()

    @property
    def state(self) -> str:
        """`running`, `finished`, `stopped_early`, `diverged`, `preempted`, `failed`; or `unknown`.

        `killed` where the status says `running` and no process of this machine is at the run.
        """
        state = str(self.status.get("state", "unknown"))
        if state != "running" or not self._left():
            return state
        now = str(self.status.get("state", "unknown"))  # it may have ended between the two looks
        return KILLED if now == "running" else now

    def _left(self) -> bool:
        """Return whether nobody is at the run; another machine's lock may not be seen here."""
        here = self._folder.read_json("env.json").get("host") == socket.gethostname()
        return here and is_free(self._folder.log)

    @property
    def format(self) -> int:
        """The format of the folder, 0 of one that was made before there were formats."""
        return self._folder.format

    @property
    def summary(self) -> Mapping[str, Any]:
        """`summary.json`: `final` and `best` values, speed; empty as long as there is none."""
        return self._folder.read_summary()

    @property
    def best(self) -> Mapping[str, Any]:
        """The best evaluation: `metric`, `mode`, `value`, `step`; empty of a run without one.

        Example:
            >>> run.best["metric"]
            'val/accuracy'
        """
        best = self.summary.get("best")
        return best if isinstance(best, Mapping) else {}

    def records(self) -> Iterator[dict[str, Any]]:
        """Return the lines of `metrics.jsonl` as they are, but those that can't be read."""
        return self._folder.read_metrics()

    def metrics(self) -> polars.DataFrame:
        """Return a frame of all that was measured.

        It has a row a record, with the columns `kind` (train, monitor, val, test), `step`, `epoch`,
        `examples`, `seconds`, and one for each tag.

        Raises:
            UserError: polars is not installed; more than a frame can hold.

        Example:
            >>> run.metrics().select("kind", "step", "train/loss").height > 0
            True
        """
        from optbench.runs.frames import frame

        return frame(self.records(), str(self.path))

    def series(self, tag: str) -> polars.DataFrame:
        """Return the values of one tag: the columns `step`, ascending, and `value`.

        Raises:
            UserError: nothing of this name was measured; polars is not installed.

        Example:
            >>> run.series("val/loss").columns
            ['step', 'value']
        """
        from optbench.runs.frames import series

        return series(self.records(), tag, str(self.path))

    @property
    def checkpoints(self) -> Checkpoints:
        """The checkpoints that are whole; their files are read for that.

        Example:
            >>> run.checkpoints.last
            5
        """
        from optbench.runs.weights import checkpoints

        return checkpoints(self._folder)

    def model(self, at: str | int = "best", device: str = "cpu", trust: bool = False) -> nn.Module:
        """Return the bare model with its weights of a checkpoint, in evaluation mode.

        These are the weights that the run was scored with: an EMA's, or those of an optimizer that
        averages, where it has them. Of several players the model is a ModuleDict by name. Its data
        has to be where it was, for a model's shape follows from it.

        Args:
            at: `best`, `last`, or a step.
            device: of the model.
            trust: build what the config names, though somebody else began the run.

        Raises:
            UserError: no such checkpoint, or a damaged one; a config of somebody else's that
                names classes of his own.

        Example:
            >>> model = run.model(at="last")
            >>> model.training
            False
        """
        from optbench.runs.weights import load_model, step_of

        step = step_of(self._folder, at)
        saved = read_saved(self._folder, trust, to_write=False, as_trained=True)
        return load_model(self._folder, saved, step, device)

    def evaluate(
        self, *overrides: str, at: str | int = "best", trust: bool = False
    ) -> dict[str, float]:
        """Score a checkpoint on the validation and the test set, as `optbench evaluate` does.

        Nothing in the folder is changed. The scores of the last checkpoint are those of the
        summary, to the bit where device, threads and ranks are as they were.

        Args:
            overrides: another data set, or how it is scored: `dataset=...`, `eval.batch_size=...`,
                `device=...`.
            at: `best`, `last`, or a step.
            trust: as for `model`.

        Returns:
            The scores by tag, such as `test/accuracy`.

        Raises:
            UserError: no such checkpoint; data that is missing or does not fit the model.

        Example:
            >>> run.evaluate(at="last")["test/loss"] == run.summary["final"]["test/loss"]
            True
        """
        from optbench.runs.evaluate import evaluated
        from optbench.runs.process import left_as_found
        from optbench.runs.weights import step_of

        check_texts("evaluate", overrides)
        saved = read_saved(self._folder, trust, to_write=False, as_trained=True)
        with left_as_found():
            found = evaluated(self._folder, saved, step_of(self._folder, at), overrides)
        return dict(found.scores)
