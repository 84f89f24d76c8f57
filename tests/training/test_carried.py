"""A hidden state that is carried from each step to the next."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from optbench.errors import UserError
from optbench.rundir import RunDir
from optbench.tasks.base import Lanes
from optbench.training import checkpoint

from .experiments import Memory, experiment, fit, player_of, weights_of
from .runs import assert_same_run, newest, whole_and_resumed

WORDS = "the quick brown fox jumps over the lazy dog while five wizards box and pack a jug. "


@pytest.fixture
def text(tmp_path: Path) -> list[str]:
    """400 characters to train on in windows of 8: 49 of them, in 4 lanes of 12."""
    (tmp_path / "text.txt").write_text((WORDS * 8)[:440], encoding="utf-8")
    return [
        *("dataset=text", f"dataset.path={tmp_path / 'text.txt'}", "dataset.context=8"),
        *("model=lstm", "model.width=6", "task.carry=true", "batch_size=4"),
    ]


def lanes_of(made: object, **where: int) -> list[list[Lanes]]:
    feed = made.feed  # type: ignore[attr-defined]
    return [[micro.batch for micro in work.micros] for work in feed.epoch(**where)]


def test_each_lane_goes_on_where_it_ended(text: list[str]) -> None:
    made = experiment(*text)
    steps = [step[0] for step in lanes_of(made, epoch=0)]
    assert made.feed.steps_per_epoch == len(steps) == 12
    whole = torch.cat([step.batch[0] for step in steps], dim=1)
    targets = torch.cat([step.batch[1] for step in steps], dim=1)
    assert torch.equal(whole[:, 1:], targets[:, :-1])
    flat = whole.flatten()
    assert len(set(map(int, flat))) > 10
    assert [step.fresh for step in steps] == [True] + [False] * 11
    later = lanes_of(made, epoch=1, start=3)[0][0]
    assert torch.equal(later.batch[0], steps[3].batch[0])
    assert (later.position, later.fresh) == (15, False)


def test_the_loss_is_that_of_one_long_sequence(text: list[str]) -> None:
    made = experiment(*text, "optimizer=sgd", "optimizer.lr=0", "steps=12", "monitor.every=1")
    steps = [step[0].batch for step in lanes_of(made, epoch=0)]
    inputs, targets = (torch.cat([step[part] for step in steps], dim=1) for part in (0, 1))
    with torch.no_grad():
        logits, _ = player_of(made).module(inputs)
    each = cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
    wanted = each.view(4, 12, 8).mean(dim=(0, 2))
    _, memory = fit(made)
    found = memory.values("train/loss")
    assert torch.allclose(torch.tensor(list(found.values())), wanted, rtol=1e-5)


@pytest.mark.parametrize("more", [["accumulate=2"], ["accumulate=3"]])
def test_micro_batches_are_lanes_too(text: list[str], more: list[str]) -> None:
    runs = []
    for extra in ([], more):
        made = experiment(*text, "optimizer=sgd", "steps=15", *extra)
        fit(made)
        runs.append(weights_of(made))
    torch.testing.assert_close(*runs, rtol=1e-5, atol=1e-6)


def test_a_step_looked_at_again_begins_in_the_same_state(text: list[str]) -> None:
    def losses(*optimizer: str) -> Memory:
        made = experiment(*text, "optimizer.lr=0", "steps=12", "monitor.every=1", *optimizer)
        return fit(made)[1]

    once = losses("optimizer=sgd").values("train/loss")
    often = losses("optimizer=sgd", "wrapper=sam").values("train/loss")
    assert often == pytest.approx(once)


@pytest.mark.parametrize("step", [7, 15])
def test_it_is_resumed(step: int, text: list[str]) -> None:
    run = [*text, "steps=20", "checkpoint.every=5", "model.dropout=0.2", "accumulate=2"]
    assert_same_run(*whole_and_resumed(step, *run))


def written_by_two(folder: Path) -> None:
    """Makes the newest checkpoint of one rank look like one of two."""
    path = newest(folder)
    manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
    shutil.copy(path / "rank-0.pt", path / "rank-1.pt")
    manifest["files"]["rank-1.pt"] = manifest["files"]["rank-0.pt"]
    manifest |= {"world_size": 2}
    checksum = {"sha256": checkpoint.checksum(manifest)}
    (path / "manifest.json").write_text(json.dumps(manifest | checksum), encoding="utf-8")


@pytest.mark.parametrize(("steps", "within_epoch"), [(7, True), (12, False)])
def test_other_ranks_begin_at_zeros_and_say_so(
    steps: int, within_epoch: bool, text: list[str], tmp_path: Path
) -> None:
    fit(experiment(*text, f"steps={steps}"), folder=tmp_path / "run")
    for ranks in (1, 2):
        if ranks == 2:
            written_by_two(tmp_path / "run")
        said: list[str] = []
        made = experiment(*text, "steps=20")
        keeper = made.keeper(RunDir(tmp_path / "run"))
        loaded = keeper and keeper.resume(said.append)
        assert loaded and loaded.step == steps
        assert bool(made.state.task.state_dict()["end"]) is (ranks == 1)
        assert len(said) == (ranks == 2 and within_epoch)
        assert all("of 2 rank(s), this run has 1: the hidden state" in line for line in said)


@pytest.mark.parametrize(
    ("changed", "said"),
    [("model=gpt", "GPT has no state"), ("dataset.stride=1", "dataset.stride=null")],
)
def test_what_can_not_carry_says_so(text: list[str], changed: str, said: str) -> None:
    kept = [line for line in text if not changed.startswith("model") or "model" not in line]
    with pytest.raises(UserError, match=said):
        experiment(*kept, changed)


def test_one_shuffled_order_is_refused_where_nothing_is_shuffled(text: list[str]) -> None:
    with pytest.raises(UserError, match=r"shuffle=once: .*task\.carry=true"):
        experiment(*text, "shuffle=once")
