"""The run folder: its name, its status, and how it is read and written. No torch here.

Analysis reads run folders through this module and nothing else.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from optbench import shapes
from optbench.errors import UserError, is_machines, reason
from optbench.escape import shell_word
from optbench.files import (
    MIB,
    BadFile,
    dump_json,
    dump_yaml,
    kind,
    load_json,
    load_yaml,
    read_text,
    write_atomically,
)
from optbench.inspection import inspect, refuse_unreadable
from optbench.metric_lines import records
from optbench.step_folders import SAMPLES, sample_step
from optbench.which_folder import nearest_folder
from optbench.which_run import (
    SWEEP,
    its_runs,
    like,
    not_a_run,
    of_study,
    runs_of_benchmark,
    study_in,
)

DONE = ("finished", "stopped_early", "diverged")
"""States of a run that has nothing left to do."""

YAMLS = ("config.yaml", "overrides.yaml")
FILES = (
    *YAMLS,
    "env.json",
    "status.json",
    "summary.json",
    "metrics.jsonl",
    "metrics.csv",
    "log.txt",
)
FOLDERS = ("checkpoints", "tb", "samples")
PLAN = SWEEP
"""What makes a folder a sweep's."""

_SMALL: dict[str, tuple[Callable[[Path], Any], Callable[[Any], dict[str, Any]]]] = {
    "overrides.yaml": (load_yaml, shapes.overrides),
    "env.json": (load_json, dict),
    "status.json": (load_json, shapes.status),
    "summary.json": (load_json, shapes.summary),
}
"""How the small files are read, and what they have to look like."""

KEPT_IN_STATUS = ("started", "config", "checkpoint")
MOST_SAMPLES, LONGEST_SAMPLE = 100, MIB

FORMAT = 1
"""Of a run's folder, higher with each change that older versions of optbench can't read.

It stands in status.json, in summary.json, and in the first line of metrics.jsonl; folders that have
none are older, and read as this one is.
"""

RECORD_KEYS = ("format", "kind", "step", "epoch", "examples", "seconds", "passes")
"""What a line of `metrics.jsonl` says of itself, before the metrics."""


@dataclass(frozen=True)
class RunDir:
    """A run's folder.

    Attributes:
        path: the folder.
    """

    path: Path

    @classmethod
    def reserve(cls, wanted: str | os.PathLike[str], key: str = "hydra.run.dir") -> RunDir:
        """Make the folder, which nobody else then has: `wanted`, or `wanted-2`, `-3`, ...

        An empty folder that exists is not taken: it may be another run's, a moment after it
        reserved it.

        Args:
            wanted: where.
            key: that says so, for messages.

        Raises:
            UserError: no folder can be made there; none of its parents is left behind.
        """
        made: list[Path] = []
        try:
            first = Path(wanted).expanduser().absolute()
            if not str(wanted).strip() or not first.name:
                raise ValueError("which folder?")
            if os.path.lexists(first) and not first.is_dir():
                raise ValueError(f"{kind(os.lstat(first).st_mode)} is there")
            made = [path for path in first.parents if not path.exists()]
            first.parent.mkdir(parents=True, exist_ok=True)
            return cls(_make_first_free(first))
        except (OSError, ValueError, RuntimeError) as error:  # no home folder, a null character
            for path in made:
                with suppress(OSError):
                    path.rmdir()
            if is_machines(error):
                raise
            why = getattr(error, "strerror", None) or error
            raise UserError(f"{key}={wanted}: no folder can be made there ({why})") from None

    @classmethod
    def existing(
        cls,
        path: str | os.PathLike[str],
        key: str = "resume=",
        sweep: bool = False,
        whole: str = "",
        instead: Callable[[Path], str] = not_a_run,
    ) -> RunDir:
        """Return a run folder that is there.

        Args:
            path: of the folder.
            key: what it was said with, for messages.
            sweep: whether it may be a sweep's.
            whole: what would be done with a sweep's, for messages.
            instead: says what to name instead of a folder of runs.

        Raises:
            UserError: there is none.
        """
        folder = path_of(path).absolute()
        if not str(path).strip():
            raise UserError(f"{key}{':' * bool(key)} which run? no folder is named".lstrip())
        refuse_unreadable(folder, ("config.yaml", PLAN), f"{key}{path}")
        if not os.path.lexists(folder):
            near = nearest_folder(path_of(path), _is_run if sweep else _is_one_run)
            raise UserError(f"{key}{path}: no such run folder{near}")
        above = Path(os.path.abspath(folder)).parents  # `RUN/..` is no part of it
        run = next((up for up in above if _is_run(up)), None)
        if not _is_run(folder) and run is not None:
            whole_run = shell_word(str(like(run, path)))
            raise UserError(f"{key}{path}: a part of a run; did you mean {whole_run}?")
        if not folder.is_dir():
            inside = Path(path).expanduser().parent
            study = shell_word(str(Path(path).parent))
            hint = f"; did you mean {study}?" if study_in(inside) else ""
            found = kind(os.lstat(folder).st_mode)
            raise UserError(f"{key}{path}: not a run folder, but {found}{hint}")
        if not _is_run(folder) and study_in(folder):
            raise UserError(f"{key}{path}: {of_study(Path(path))}")
        if not _is_run(folder):
            found = runs_of_benchmark(Path(path)) or instead(Path(path))
            raise UserError(f"{key}{path}: {found}")
        made = cls(folder)
        if not sweep and not os.path.lexists(made.config):
            raise UserError(f"{key}{path}: a sweep's folder; {whole}{its_runs(Path(path))}")
        return made

    def inspect(self, links: bool = False) -> None:
        """Look for what must not stand in a run folder that is written to: it would be followed.

        Args:
            links: whether `checkpoints`, `tb` and `samples` may be links to other folders.

        Raises:
            UserError: a link, a pipe, a device, or a folder and a file in each other's place.
        """
        inspect(self.path, FILES, FOLDERS, links)

    @property
    def config(self) -> Path:
        """The resolved config, plain YAML."""
        return self.path / "config.yaml"

    @property
    def samples(self) -> Path:
        """What the task had to show, by step."""
        return self.path / "samples"

    @property
    def metrics(self) -> Path:
        """One JSON object a line; see `read_metrics`."""
        return self.path / "metrics.jsonl"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard's event files."""
        return self.path / "tb"

    @property
    def checkpoints(self) -> Path:
        """Folders `step-00001000`."""
        return self.path / "checkpoints"

    @property
    def log(self) -> Path:
        """What the run said."""
        return self.path / "log.txt"

    def write_config(self, config: str, said: Mapping[str, Any]) -> None:
        """Write `config.yaml`, whose text is given, and `overrides.yaml`, what was typed."""
        write_atomically(self.overrides, dump_yaml(dict(said)), sync=True)
        write_atomically(self.config, config, sync=True)

    @property
    def overrides(self) -> Path:
        """The overrides, and the choice of each group."""
        return self.path / "overrides.yaml"

    def write_json(self, name: str, values: Mapping[str, Any]) -> None:
        """Write a JSON file, whole or not at all."""
        write_atomically(self.path / name, dump_json(values) + "\n")

    def read_json(self, name: str) -> dict[str, Any]:
        """Read a JSON file, empty if it is missing or damaged; see `damaged`."""
        try:
            return load_json(self.path / name)
        except (OSError, BadFile):
            return {}

    def damaged(self) -> list[str]:
        """Return what is wrong with the small files that a run can do without, a line each."""
        found = []
        for name, (read, shape) in _SMALL.items():
            try:
                shape(read(self.path / name))
            except FileNotFoundError:
                if name != "summary.json":  # which comes at the end
                    found.append(f"{name} is missing")
            except (OSError, BadFile, ValueError) as error:
                why = reason(error) if isinstance(error, OSError) else str(error)
                found.append(f"{name} can't be used: {why.removeprefix(f'{self.path / name}: ')}")
        return found

    def unreadable(self) -> list[str]:
        """Return what analysis can't read of a run, a line each.

        A run that is under way may have written a part of a line.
        """
        found = [line for line in self.damaged() if line.startswith(self.overrides.name)]
        ends = [(end, record is None) for end, record in records(self.metrics)]
        bad = sum(unread for _, unread in ends)
        torn = self.metrics.stat().st_size > (ends or [(0, False)])[-1][0]
        bad += torn and self.state != "running"
        if bad:
            found.append(f"{bad} lines of {self.metrics.name} can't be read, and are left out")
        return found

    def _small(self, name: str) -> dict[str, Any]:
        """Read one of the small files, empty if it is missing or damaged."""
        read, shape = _SMALL[name]
        try:
            return shape(read(self.path / name))
        except (OSError, BadFile, ValueError):
            return {}

    def read_overrides(self) -> dict[str, Any]:
        """Read `overrides` and `choices`, empty where the file is missing or damaged."""
        return {"overrides": [], "choices": {}, **self._small("overrides.yaml")}

    def read_status(self) -> dict[str, Any]:
        """Read `status.json`, empty where it is missing or damaged."""
        return self._small("status.json")

    def read_summary(self) -> dict[str, Any]:
        """Read `summary.json`, empty where it is missing or damaged."""
        return self._small("summary.json")

    def write_status(self, state: str, step: int, message: str = "", **more: Any) -> None:
        """Write `status.json`: one of `shapes.STATES`, the step, times in UTC, and why.

        What is said in `more` stays until it is said anew: `checkpoint`, the newest step that has
        one, and `config`, what config.yaml may be.
        """
        assert state in shapes.STATES, state
        now = datetime.now(UTC).isoformat(timespec="seconds")
        before = self.read_json("status.json")
        kept = {key: before[key] for key in KEPT_IN_STATUS if key in before}
        if not isinstance(kept.get("checkpoint"), int) or kept["checkpoint"] > step:
            kept.pop("checkpoint", None)
        values = {"state": state, "step": step, "started": now, "updated": now, "message": message}
        self.write_json("status.json", {"format": FORMAT, **values, **kept, **more})

    @property
    def format(self) -> int:
        """The folder's format as its status says, 0 where it says none; see `FORMAT`."""
        found = self.read_json("status.json").get("format")
        return found if isinstance(found, int) and not isinstance(found, bool) else 0

    @property
    def state(self) -> str | None:
        """The state in `status.json`, None if there is no status."""
        return self.read_status().get("state")

    @property
    def done(self) -> bool:
        """Whether nothing is left to do: the status says so, and the summary says the same."""
        status = self.read_status()
        summary = self.read_summary() if status.get("state") in DONE else {}
        return bool(summary) and all(status[key] == summary.get(key) for key in ("state", "step"))

    def read_metrics(self) -> Iterator[dict[str, Any]]:
        """Yield the lines of `metrics.jsonl` but those that can't be read, and a torn last one."""
        try:
            for _, record in records(self.metrics):
                if record is not None:
                    yield record
        except FileNotFoundError:
            return

    def last_values(self) -> dict[str, float]:
        """Return the last value of each metric in `metrics.jsonl`."""
        values: dict[str, float] = {}
        for record in self.read_metrics():
            values.update(record)
        return {
            tag: value
            for tag, value in values.items()
            if tag not in RECORD_KEYS and isinstance(value, int | float)
        }

    def last_texts(self, last_step: int) -> dict[str, str]:
        """Return the last sample of each text up to `last_step`, by name."""
        newest: dict[str, Path] = {}
        for folder in sorted(self.samples.glob(SAMPLES)):
            step = sample_step(folder.name)
            if step is not None and step <= last_step:
                newest |= {path.stem: path for path in sorted(folder.glob("*.txt"))}
        texts: dict[str, str] = {}
        for name, path in list(newest.items())[:MOST_SAMPLES]:
            with suppress(OSError, BadFile):  # it is shown, nothing depends on it
                texts[name] = read_text(path, LONGEST_SAMPLE)
        return texts


def path_of(text: str | os.PathLike[str], name: str = "", what: str = "a run folder") -> Path:
    """Return a path as it is typed, with the home folder in place of `~`.

    Args:
        text: as it is typed.
        name: of the argument, for messages.
        what: it is the path of, for messages.

    Raises:
        UserError: no path; nobody's home folder, a null character, a name that is too long.
    """
    if not isinstance(text, str | os.PathLike):
        several = "; several are given one by one" if isinstance(text, list | tuple) else ""
        given = "None" if text is None else f"of type {type(text).__name__}"
        hint = "; its folder is .path" if hasattr(text, "path") else several
        hint = "; its folder is .run.path" if hasattr(text, "run") else hint
        of = "file" if what == "a file" else "folder"
        said = f"expected a {of}'s path, as text or pathlib.Path, not"
        raise UserError(f"{f'{name}: ' if name else ''}{said} {given}{hint}")
    try:
        path = Path(text).expanduser()
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        pass  # a path all the same: who opens it asks whether it is there
    except (OSError, ValueError, RuntimeError) as error:
        why = reason(error) if isinstance(error, OSError) else str(error)
        raise UserError(f"{text}: can't be {what}: {why.rpartition(': ')[2]}") from None
    return path


def _make_first_free(first: Path) -> Path:
    """Make the folder, or the first of `first-2`, `-3`, ... that nobody else has made."""
    for number in itertools.count(1):
        path = first if number == 1 else first.with_name(f"{first.name}-{number}")
        with suppress(FileExistsError):
            path.mkdir()
            return path
    raise AssertionError


def _is_run(folder: Path) -> bool:
    return _is_one_run(folder) or os.path.lexists(folder / PLAN)


def _is_one_run(folder: Path) -> bool:
    return os.path.lexists(folder / "config.yaml")
