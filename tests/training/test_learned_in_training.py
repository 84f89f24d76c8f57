"""The learned optimizer in runs: several ranks, bf16, an LSTM, other weights on a resume."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from optbench.optim.learned.weights import ARCHITECTURES, save_rule

from .ranks import ranks, train_arguments
from .runs import metrics_of, resume, state_of, train
from .test_resume_exact import COSINE, HARD, compare

SHORT = [
    *("dataset=synthetic", "dataset.shape=[1,6,6]", "dataset.train_size=200", "batch_size=50"),
    *("accumulate=2", "optimizer=learned", "steps=12", "checkpoint.every=4", *COSINE),
]


def lstm() -> str:
    weights = ARCHITECTURES["lstm"].draw(0)
    weights["out.weight"] = weights["out.weight"] * 3
    path = Path("lstm.safetensors").absolute()
    path.write_bytes(save_rule(weights, "lstm", {}))
    return f"optimizer.weights={path}"


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_it_resumes_exactly_in_other_precisions(precision: str) -> None:
    compare(40, *HARD, *COSINE, "optimizer=learned", f"precision={precision}")


def test_an_lstms_memory_is_in_checkpoints() -> None:
    resumed = compare(40, *HARD, *COSINE, "optimizer=learned", lstm())
    (player,) = state_of(resumed)["state.pt"]["players"].values()
    memories = [each["memory"] for each in player["optimizer"]["state"].values()]
    assert memories and all(m.shape[1] == 80 and m.any() for m in memories)


def test_groups_and_schedules_reach_it() -> None:
    groups = "optimizer.groups=[{params: head.*, lr: 0.1}]"
    assert train(Path("run"), *SHORT, groups, "monitor.every=1") == 0
    lines = [line for line in metrics_of(Path("run")) if line["kind"] == "train"]
    first, last = lines[4], lines[-1]
    assert first["lr/model/1"] == pytest.approx(0.1 * first["lr/model"])
    assert last["lr/model"] < first["lr/model"]


@pytest.mark.slow
def test_two_ranks_equal_one() -> None:
    ranks(train_arguments(Path("two"), *SHORT))
    assert train(Path("one"), *SHORT) == 0
    found = []
    for folder in ("one", "two"):
        module = state_of(Path(folder))["state.pt"]["players"]["model"]["module"]
        found.append(torch.cat([each.flatten() for each in module.values()]))
    assert torch.dist(found[0], found[1]) <= 1e-4 * found[0].norm()


def test_a_run_goes_on_with_its_own_weights_or_not_at_all(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = lstm()
    assert train(Path("run"), *SHORT, said) == 0
    path = Path(said.partition("=")[2])
    path.write_bytes(save_rule(ARCHITECTURES["lstm"].draw(1), "lstm", {}))
    capsys.readouterr()
    assert resume(Path("run"), "steps=14") != 0
    assert "weights" in capsys.readouterr().err
