"""TensorBoard's files of a run that was killed and resumed hold what the whole run's do."""

from __future__ import annotations

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from .runs import metrics_of, train, whole_and_resumed

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


@pytest.mark.parametrize("step", [2, 17, 23])
def test_the_same_scalars_each_once(step: int) -> None:
    whole, resumed = whole_and_resumed(step, *RUN)
    assert len(scalars(whole)) > 15
    assert scalars(resumed) == scalars(whole)


def test_the_same_histograms_each_once() -> None:
    """One is due right after the checkpoint that the run goes on from."""
    whole, resumed = whole_and_resumed(19, *RUN, "monitor.histograms=17")
    assert set(histogram_steps(whole)) > {"gradients/head.weight", "parameters/head.weight"}
    assert histogram_steps(resumed) == histogram_steps(whole)


def test_the_files_agree_with_the_lines() -> None:
    _, resumed = whole_and_resumed(17, *RUN)
    for tag, events in scalars(resumed).items():
        lines = [(m["step"], m[tag]) for m in metrics_of(resumed) if tag in m]
        assert [step for step, _ in events] == [step for step, _ in lines]
        assert [v for _, v in events] == pytest.approx([v for _, v in lines], rel=1e-6)


def test_no_files_without_tensorboard() -> None:
    assert train(Path("run"), "steps=3", "monitor.tensorboard=false") == 0
    assert not Path("run/tb").exists()
