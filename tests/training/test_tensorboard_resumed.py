"""TensorBoard's files of a run that was killed and resumed hold what the whole run's do."""

from __future__ import annotations

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from .runs import killed_run, metrics_of, resume, train

RUN = ["batch_size=100", "epochs=2", "checkpoint.every=4", "monitor.every=2", "eval.every=5"]
CLOCKED = ("throughput/examples_per_second", "memory/peak_mib")


def board(folder: Path) -> EventAccumulator:
    found = EventAccumulator(str(folder / "tb"), {"scalars": 0, "histograms": 0, "tensors": 0})
    found.Reload()
    return found


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    found = board(folder)
    tags = set(found.Tags()["scalars"]) - set(CLOCKED)
    return {tag: [(e.step, e.value) for e in found.Scalars(tag)] for tag in sorted(tags)}


def histogram_steps(folder: Path) -> dict[str, list[int]]:
    found = board(folder)
    return {tag: [e.step for e in found.Histograms(tag)] for tag in found.Tags()["histograms"]}


def whole_and_resumed(monkeypatch: pytest.MonkeyPatch, step: int, *more: str) -> tuple[Path, Path]:
    assert train(Path("whole"), *RUN, *more) == 0
    killed_run(monkeypatch, Path("dying"), step, Path("resumed"), *RUN, *more)
    assert resume(Path("resumed")) == 0
    return Path("whole"), Path("resumed")


@pytest.mark.parametrize("step", [2, 17, 23])
def test_the_same_scalars_each_once(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, resumed = whole_and_resumed(monkeypatch, step)
    assert len(scalars(whole)) > 15
    assert scalars(resumed) == scalars(whole)


def test_the_same_histograms_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One is due right after the checkpoint that the run goes on from."""
    whole, resumed = whole_and_resumed(monkeypatch, 19, "monitor.histograms=17")
    assert set(histogram_steps(whole)) > {"gradients/head.weight", "parameters/head.weight"}
    assert histogram_steps(resumed) == histogram_steps(whole)


def test_the_files_agree_with_the_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    _, resumed = whole_and_resumed(monkeypatch, 17)
    for tag, events in scalars(resumed).items():
        lines = [(m["step"], m[tag]) for m in metrics_of(resumed) if tag in m]
        assert [step for step, _ in events] == [step for step, _ in lines]
        assert [v for _, v in events] == pytest.approx([v for _, v in lines], rel=1e-6)


def test_no_files_without_tensorboard() -> None:
    assert train(Path("run"), "steps=3", "monitor.tensorboard=false") == 0
    assert not Path("run/tb").exists()
