"""The run folder: its name, its status, and how it is read and written. No torch here.

Analysis reads run folders through this module and nothing else.
"""

from __future__ import annotations

import itertools
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from optbench.errors import UserError
from optbench.escape import escaped_lines

STATES = ("running", "finished", "stopped_early", "diverged", "preempted", "failed")
DONE = ("finished", "stopped_early", "diverged")
"""States of a run that has nothing left to do."""

RECORD_KEYS = ("kind", "step", "epoch", "examples", "seconds")
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
        """Makes the folder, which nobody else then has: `wanted`, or `wanted-2`, `-3`, ...

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
            made = [path for path in first.parents if not path.exists()]
            first.parent.mkdir(parents=True, exist_ok=True)
            return cls(_make_first_free(first))
        except (OSError, ValueError, RuntimeError) as error:  # no home folder, a null character
            for path in made:
                with suppress(OSError):
                    path.rmdir()
            why = getattr(error, "strerror", None) or error
            raise UserError(f"{key}={wanted}: no folder can be made there ({why})") from None

    @classmethod
    def existing(cls, path: str | os.PathLike[str]) -> RunDir:
        """A run folder that is there.

        Raises:
            UserError: there is none.
        """
        folder = Path(path).expanduser().absolute()
        if not folder.is_dir():
            raise UserError(f"resume={path}: no such run folder{_nearest_folder(folder)}")
        if not (folder / "config.yaml").is_file():
            raise UserError(f"resume={path}: not a run folder: it has no config.yaml")
        return cls(folder)

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

    def write_config(self, config: Mapping[str, Any], said: Mapping[str, Any]) -> None:
        """`config.yaml`, resolved, and `overrides.yaml`, what the command line said."""
        write_atomically(self.config, dump_yaml(dict(config)))
        write_atomically(self.overrides, dump_yaml(dict(said)))

    @property
    def overrides(self) -> Path:
        """The overrides, and the choice of each group."""
        return self.path / "overrides.yaml"

    def write_json(self, name: str, values: Mapping[str, Any]) -> None:
        """A JSON file, whole or not at all."""
        write_atomically(self.path / name, json.dumps(strict(values), indent=2) + "\n")

    def read_json(self, name: str) -> dict[str, Any]:
        """A JSON file, empty if it is missing or damaged."""
        try:
            values = json.loads(
                (self.path / name).read_text(encoding="utf-8"), object_hook=_numbers
            )
        except (OSError, ValueError):
            return {}
        return values if isinstance(values, dict) else {}

    def write_status(self, state: str, step: int, message: str = "", **more: Any) -> None:
        """`status.json`: one of STATES, the step, times in UTC, and why."""
        assert state in STATES, state
        now = datetime.now(UTC).isoformat(timespec="seconds")
        started = self.read_json("status.json").get("started", now)
        values = {"state": state, "step": step, "started": started, "updated": now}
        self.write_json("status.json", {**values, "message": message, **more})

    @property
    def state(self) -> str | None:
        """The state in `status.json`, None if there is no status."""
        return self.read_json("status.json").get("state")

    def read_metrics(self) -> Iterator[dict[str, Any]]:
        """The lines of `metrics.jsonl`; a torn last line is dropped."""
        if not self.metrics.exists():
            return
        with self.metrics.open("rb") as lines:
            for line in lines:
                record = _parse(line)
                if record is not None:
                    yield record

    def last_values(self) -> dict[str, float]:
        """The last value of each metric in `metrics.jsonl`."""
        values: dict[str, float] = {}
        for record in self.read_metrics():
            values.update(record)
        return {tag: value for tag, value in values.items() if tag not in RECORD_KEYS}

    def last_texts(self, last_step: int) -> dict[str, str]:
        """The last sample of each text up to `last_step`, by name."""
        newest: dict[str, Path] = {}
        for folder in sorted(self.samples.glob("step-*")):
            if int(folder.name.removeprefix("step-")) <= last_step:
                newest |= {path.stem: path for path in sorted(folder.glob("*.txt"))}
        return {name: path.read_bytes().decode("utf-8") for name, path in newest.items()}

    def cut_metrics(self, last_step: int) -> None:
        """Drops what a resumed run writes anew: what is after `last_step`, and test scores."""
        if not self.metrics.exists():
            return
        kept = 0
        with self.metrics.open("rb") as lines:
            for line in lines:
                record = _parse(line)
                if record is None or record["step"] > last_step or record.get("kind") == "test":
                    break
                kept += len(line)
        with self.metrics.open("r+b") as file:
            file.truncate(kept)
            file.flush()
            os.fsync(file.fileno())


def _make_first_free(first: Path) -> Path:
    """Makes the folder, or the first of `first-2`, `-3`, ... that nobody else has made."""
    for number in itertools.count(1):
        path = first if number == 1 else first.with_name(f"{first.name}-{number}")
        with suppress(FileExistsError):
            path.mkdir()
            return path
    raise AssertionError


def _parse(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        record = json.loads(line, object_hook=_numbers)
    except ValueError:
        return None
    return record if isinstance(record, dict) and "step" in record else None


_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def _numbers(values: dict[str, Any]) -> dict[str, Any]:
    for key, value in values.items():
        if isinstance(value, str) and value in _NOT_FINITE:
            values[key] = _NOT_FINITE[value]
    return values


def strict(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values for strict JSON, which has no NaN: numbers that are not finite become words."""
    return {
        key: strict(value)
        if isinstance(value, Mapping)
        else _word(value)
        if isinstance(value, float) and not math.isfinite(value)
        else value
        for key, value in values.items()
    }


def _word(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


_NOT_UTF8 = r"\uDC"
"""How `dump_yaml` writes the bytes of a name that are not UTF-8, which libyaml does not read."""


def dump_yaml(values: Any) -> str:
    """Plain data as YAML, in its own order, by libyaml where it is there.

    What a terminal would obey is escaped, and with it all that is not ASCII.
    """
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    with suppress(UnicodeEncodeError):  # libyaml has no words for a name that is not UTF-8
        text = yaml.dump(values, Dumper=dumper, sort_keys=False, allow_unicode=True)
        if text == escaped_lines(text):
            return text
    return yaml.dump(values, Dumper=yaml.SafeDumper, sort_keys=False)


def load_yaml(path: Path) -> Any:
    """Plain data from a YAML file."""
    text = path.read_text(encoding="utf-8")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    if _NOT_UTF8 in text:
        loader = yaml.SafeLoader
    return yaml.load(text, Loader=loader)


def write_atomically(path: Path, text: str) -> None:
    """A file that a reader sees whole, old or new."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def _nearest_folder(folder: Path) -> str:
    from optbench.config.suggest import nearest

    if not folder.parent.is_dir():
        return ""
    match = nearest(folder.name, [p.name for p in folder.parent.iterdir() if p.is_dir()])
    return f"; did you mean {folder.parent / match}?" if match else ""
