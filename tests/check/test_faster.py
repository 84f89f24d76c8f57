"""What is told of a GPU that nobody has here: by its compute capability."""

from __future__ import annotations

import pytest
import torch
from training.experiments import experiment

from optbench.check.faster import capability_of, faster_ways

IMAGES = ("dataset=synthetic", "dataset.shape=[1,16,16]", "model=2c2d")
BF16, TF32, LAST = "precision=bf16", "precision=tf32", "channels_last=true"


@pytest.mark.parametrize(
    ("overrides", "capability", "expected"),
    [
        ((), None, []),
        ((), (7, 5), []),
        ((), (9, 0), [BF16, TF32]),
        ((BF16,), (9, 0), []),
        ((TF32,), (8, 0), [BF16]),
        (IMAGES, (8, 6), [BF16, TF32, LAST]),
        ((*IMAGES, LAST), (8, 6), [BF16, TF32]),
        (IMAGES, (7, 0), []),
        ((*IMAGES, "precision=fp16"), (7, 0), [LAST]),
        ((*IMAGES, "precision=fp16"), (6, 1), []),
    ],
)
def test_what_may_be_faster(
    overrides: tuple[str, ...], capability: tuple[int, int] | None, expected: list[str]
) -> None:
    made = experiment("steps=5", *overrides)
    modules = [player.module for player in made.state.players]
    assert faster_ways(made.config, modules, capability) == expected


def test_a_cpu_has_no_compute_capability() -> None:
    assert capability_of(torch.device("cpu")) is None


def test_it_is_told_beside_the_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    from optbench.check import speed

    monkeypatch.setattr(speed, "capability_of", lambda device: (9, 0))
    import optbench

    found = optbench.check(
        *("model.hidden=[8]", "steps=50", "threads=1", "device=cpu", "checks=[speed]")
    )
    (line,) = [each for each in found.lines if each.check == "speed"]
    told = f"may be faster, with other roundings: {BF16} or {TF32}"
    assert line.finding.evidence.endswith(told)
