"""Whether a run that was harmed and went on is the one that was left alone."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from training.runs import CLOCKED, assert_same_bits, newest, state_of

BY_THE_CLOCK = {
    *CLOCKED,
    *("training_seconds", "wall_seconds", "examples_per_second", "peak_memory_mib"),
    *("optimizer_seconds", "monitor/seconds", "monitor/percent", "monitor/parts"),
    *("started", "updated", "tokens_per_second"),
    "format",  # in whichever line of metrics.jsonl is its first
}


def without_clocks(values: Any) -> Any:
    """Plain data without what two equal runs do not have in common."""
    if isinstance(values, dict):
        return {k: without_clocks(v) for k, v in values.items() if k not in BY_THE_CLOCK}
    return [without_clocks(v) for v in values] if isinstance(values, list) else values


def board(folder: Path) -> dict[str, list[tuple[int, Any]]]:
    """What TensorBoard shows of a run: by tag, the steps and values."""
    if not (folder / "tb").is_dir():
        return {}
    kinds = {"scalars": 0, "tensors": 0, "images": 0, "histograms": 0}
    reader = EventAccumulator(str(folder / "tb"), kinds, purge_orphaned_data=True)
    reader.Reload()
    tags = reader.Tags()
    shown: dict[str, list[tuple[int, Any]]] = {}
    for tag in tags["scalars"]:
        if tag not in CLOCKED:
            shown[tag] = [(e.step, e.value) for e in reader.Scalars(tag)]
    for tag in tags["tensors"]:
        found = reader.Tensors(tag)
        shown[f"tensor {tag}"] = [(e.step, e.tensor_proto.SerializeToString()) for e in found]
    for tag in tags["images"]:
        shown[f"image {tag}"] = [(e.step, e.encoded_image_string) for e in reader.Images(tag)]
    for tag in tags["histograms"]:
        shown[f"histogram {tag}"] = [(e.step, e.histogram_value) for e in reader.Histograms(tag)]
    return shown


def metrics(folder: Path) -> list[Any]:
    """The lines of metrics.jsonl; one that can't be read as it is."""
    return [line_of(line) for line in (folder / "metrics.jsonl").read_bytes().splitlines()]


def line_of(line: bytes) -> Any:
    """A line of metrics.jsonl without what the clock says, or as it is if it can't be read."""
    try:
        return without_clocks(json.loads(line))
    except (ValueError, RecursionError):
        return line


def samples(folder: Path) -> dict[str, bytes]:
    """The files of `samples/`."""
    found = (folder / "samples").rglob("*")
    return {str(path.relative_to(folder)): path.read_bytes() for path in found if path.is_file()}


def summary(folder: Path) -> Any:
    """summary.json, as far as two runs have it in common."""
    return without_clocks(json.loads((folder / "summary.json").read_text(encoding="utf-8")))


def status(folder: Path) -> Any:
    """The end in status.json."""
    found = json.loads((folder / "status.json").read_text(encoding="utf-8"))
    return {key: found.get(key) for key in ("state", "step", "message")}


PARTS = {
    "metrics": metrics,
    "tensorboard": board,
    "samples": samples,
    "summary": summary,
    "status": status,
}


@cache
def remembered(part: str, whole: Path) -> Any:
    """A part of the run that was left alone."""
    return state_of(whole) if part == "checkpoint" else PARTS[part](whole)


def differences(whole: Path, other: Path) -> list[str]:
    """In what a run differs from the one that was left alone, in a few words each."""
    found = []
    for part, read in PARTS.items():
        try:
            mine = read(other)
        except Exception as error:
            found.append(f"{part}: {type(error).__name__} {error}"[:120])
            continue
        if mine != remembered(part, whole):
            found.append(f"{part}: {_where(remembered(part, whole), mine)}")
    try:
        assert newest(whole).name == newest(other).name, f"newest is {newest(other).name}"
        assert_same_bits(remembered("checkpoint", whole), state_of(other))
    except Exception as error:
        found.append(f"checkpoint: {type(error).__name__} {error}"[:120])
    return found


def _where(expected: Any, got: Any) -> str:
    """The first difference."""
    if isinstance(expected, dict) and isinstance(got, dict):
        for key in [*expected, *got]:
            if key not in got:
                return f"no {key}"
            if key not in expected:
                return f"{key} too"
            if expected[key] != got[key]:
                return f"{key}: {_where(expected[key], got[key])}"
    if isinstance(expected, list) and isinstance(got, list):
        for number, (one, other) in enumerate(zip(expected, got, strict=False)):
            if one != other:
                return f"[{number}] {_where(one, other)}"
        return f"{len(got)} instead of {len(expected)}"
    return f"{str(got)[:60]} instead of {str(expected)[:60]}"
