"""Runs that are trained at once come to what each comes to alone; whatever becomes of one, the
others do not notice."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from few import few

from optbench.training.aside import Aside
from optbench.training.together import fused, traced
from optbench.training.together.trial import Trial, try_together

from .experiments import experiment
from .together import Ended, alone, at_once, close, same

EXACT = 1e-10
"""Of float64 after 30 steps."""

POINT = ["model=logistic_regression", "steps=30", "monitor.every=5", "dataset.noise=0.1"]

RULES = [
    "optimizer=sgd",
    "optimizer=sgd optimizer.momentum=0.9",
    "optimizer=sgd optimizer.momentum=0.9 optimizer.nesterov=true optimizer.weight_decay=0.1",
    "optimizer=sgd optimizer.momentum=0.9 optimizer.dampening=0.5",
    "optimizer=adam",
    "optimizer=adam optimizer.amsgrad=true optimizer.weight_decay=0.1",
    "optimizer=adamw optimizer.weight_decay=0.1",
    "optimizer=rmsprop",
    "optimizer=rmsprop optimizer.centered=true optimizer.momentum=0.9",
    "optimizer=adagrad optimizer.lr_decay=0.1",
    "optimizer=adadelta optimizer.lr=1",
    "optimizer=adamax",
    "optimizer=momentum",
    "optimizer=heavy_ball",
    "optimizer=lion optimizer.weight_decay=0.1",
    "optimizer=lamb optimizer.weight_decay=0.1",
    "optimizer=lars",
    "optimizer=adan optimizer.weight_decay=0.1",
    "optimizer=adabelief",
    "optimizer=adabound",
    "optimizer=amsgrad",
    "optimizer=amsbound",
    "optimizer=rmsprop_eps_inside",
    "optimizer=adagrad_eps_inside",
]


FUSED = [rule for rule in RULES if rule.split()[0].partition("=")[2] in ("sgd", "adam", "adamw")]
FUSED += ["optimizer=adagrad optimizer.lr_decay=0.1"]


@pytest.mark.parametrize(
    ("rule", "least"), few([(rule, 512) for rule in RULES] + [(rule, 1) for rule in FUSED], 14)
)
def test_each_rule_does_what_its_optimizer_does(
    rule: str, least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In double precision, where nothing but the rule could part them; state and layout too.

    With `least` 1 by torch's kernels.
    """
    monkeypatch.setattr(fused, "LEAST", least)
    lines = [*POINT, *rule.split()]
    rates = ["optimizer.lr=0.01", "optimizer.lr=0.03", "optimizer.lr=0.002"]
    members = [[*lines, rate, f"seed={n}"] for n, rate in enumerate(rates)]
    for own, together in zip(members, at_once(members), strict=True):
        by_itself = alone(*own)
        assert by_itself.made.state.players[0].parameters[0].dtype == torch.float64
        close(together.saved, by_itself.saved, EXACT)
        assert together.losses.keys() == by_itself.losses.keys()


MLP = ["steps=40", "monitor.every=4", "eval.every=10"]
VARIED = [
    ["optimizer.lr=0.01", "schedule=cosine", "schedule.warmup_steps=5", "clip.norm=0.5"],
    ["optimizer.lr=0.02", "clip.value=0.05", "ema=0.9"],
    ["optimizer.lr=0.005", "schedule=one_cycle", "clip.norm=1.0", "clip.per_group=true"],
    ["optimizer.lr=0.01", "clip.adaptive=0.01", "optimizer.betas=[0.8,0.99]"],
    ["optimizer.lr=0.03", "optimizer.weight_decay=0.1", "schedule=plateau"],
]
"""What members may have of their own."""


@pytest.mark.parametrize("model", ["model.batch_norm=true", "model.dropout=0.2"])
def test_members_have_settings_of_their_own(model: str) -> None:
    members = [[*MLP, model, *own, f"seed={n}"] for n, own in enumerate(VARIED)]
    for own, together in zip(members, at_once(members, draws="dropout" in model), strict=True):
        by_itself = alone(*own)
        records = [
            [(r.kind, r.step, sorted(r.values)) for r in each.memory.records]
            for each in (together, by_itself)
        ]
        assert records[0] == records[1]
        assert together.losses == pytest.approx(by_itself.losses, rel=1e-3)
        theirs = by_itself.saved
        if "ema=0.9" in own:
            bias = "head.bias"
            close(together.saved["averaged"][bias], theirs["averaged"][bias], 1e-3)
            assert not torch.equal(theirs["averaged"][bias], theirs["module"][bias])
        assert torch.equal(together.saved["rng"], theirs["rng"])
        if "dropout" in model:  # before a batch norm some weights have gradients of mere rounding
            close(together.saved["module"], theirs["module"], 1e-3)
        for name in ("blocks.0.1.running_var", "blocks.0.1.num_batches_tracked"):
            if name in theirs["module"]:
                close(together.saved["module"][name], theirs["module"][name], 1e-3)
        assert together.made.state.progress.passes == by_itself.made.state.progress.passes
        assert together.outcome.state == "finished"


def everything(ended: Ended) -> list[object]:
    """All that a run came to but for times, to compare bits."""
    clocked = ("throughput", "memory")
    records = [
        (r.kind, r.step, {k: v for k, v in r.values.items() if not k.startswith(clocked)})
        for r in ended.memory.records
    ]
    return [ended.saved, records, ended.outcome.state]


BASE = [*MLP, "optimizer=adamw", "model.dropout=0.1"]
OTHERS = [[*BASE, f"seed={n}", f"optimizer.lr={0.001 * (n + 1)}"] for n in range(4)]


@pytest.mark.parametrize(
    ("one", "state"),
    [
        (["optimizer.lr=1e30"], "diverged"),
        (["early_stopping.patience=1", "optimizer.lr=0"], "stopped_early"),
        (["clip.norm=0.1"], "finished"),
        (["clip.adaptive=0.01"], "finished"),
        (["schedule=cosine", "ema=0.9"], "finished"),
    ],
)
def test_nothing_that_becomes_of_one_is_seen_by_the_others(one: list[str], state: str) -> None:
    """To the bit, against the same population in which it is like them."""
    plain = at_once([*OTHERS[:2], [*BASE, "seed=9"], *OTHERS[2:]], draws=True)
    found = at_once([*OTHERS[:2], [*BASE, "seed=9", *one], *OTHERS[2:]], draws=True)
    assert found[2].outcome.state == state
    for place in (0, 1, 3, 4):
        assert found[place].outcome.state == "finished"
        assert same(everything(found[place]), everything(plain[place]))


def test_without_it_the_others_have_the_same_bits() -> None:
    """Where a member's numbers fill whole vectors; elsewhere its place may round otherwise."""
    whole = [*MLP, "batch_size=32", "steps=20", "model.hidden=[16]"]
    members = [[*whole, f"seed={n}"] for n in range(5)]
    diverging = [*whole, "seed=7", "optimizer=adamw", "optimizer.lr=1e30"]
    found = at_once([*members[:2], diverging, *members[2:]])
    without = at_once(members)
    assert found[2].outcome.state == "diverged"
    for one, other in zip([*found[:2], *found[3:]], without, strict=True):
        assert same(everything(one), everything(other))


def test_one_that_diverges_tells_what_it_tells_alone() -> None:
    members = [*OTHERS[:2], [*BASE, "optimizer.lr=1e30"]]
    found, by_itself = at_once(members, draws=True)[2], alone(*members[2])
    assert found.outcome.message == by_itself.outcome.message != ""
    assert found.made.state.progress.step == by_itself.made.state.progress.step


def test_a_member_has_its_share_of_the_time() -> None:
    first, second = at_once([[*MLP, "seed=0"], [*MLP, "seed=1"]])
    progress = first.made.state.progress
    assert progress.seconds == pytest.approx(second.made.state.progress.seconds)
    assert 0 < progress.optimizer_seconds < progress.seconds


@pytest.mark.parametrize(
    ("model", "at_once_too"),
    [
        ("model.batch_norm=true", True),
        ("model.activation=tanh", True),
        ("model.dropout=0.2", False),
    ],
)
def test_activations_are_those_of_each_alone(
    model: str, at_once_too: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By one pass, that leaves nothing behind; what drops something by a pass of each."""
    passes: list[int] = []
    ordinary = Aside.loss
    monkeypatch.setattr(
        Aside, "loss", lambda self, batch: passes.append(1) or ordinary(self, batch)
    )
    members = [[*MLP, model, "steps=12", "monitor.every=2", f"seed={n}"] for n in range(4)]
    found = at_once(members, draws="dropout" in model)
    assert bool(passes) != at_once_too
    for own, together in zip(members, found, strict=True):
        by_itself = alone(*own)
        shares = [
            {
                (record.step, tag): value
                for record in each.memory.records
                for tag, value in record.values.items()
                if tag.startswith(("dead_units/", "saturated/"))
            }
            for each in (together, by_itself)
        ]
        assert len(shares[0]) >= 3 and shares[0] == pytest.approx(shares[1], abs=1e-3)
        parts = together.made.state.watching.parts
        assert parts.keys() == by_itself.made.state.watching.parts.keys()
        theirs = by_itself.saved["module"]
        for name in theirs:
            if "num_batches" in name:
                assert torch.equal(together.saved["module"][name], theirs[name])


def tried(*overrides: str) -> Trial:
    """Two runs of different seeds, tried."""
    lines = ["steps=5", *overrides]
    return try_together([experiment(*lines, f"seed={n}").trainer() for n in range(2)])


@pytest.mark.parametrize(
    ("overrides", "why"),
    [
        (["optimizer=lbfgs"], "LBFGS asks for more than gradients"),
        (["optimizer=nag"], "NAG asks for more than gradients"),
        (["optimizer=muon"], "Combined has no update for many models at once"),
        (["optimizer=nadam"], "NAdam has no update for many models at once"),
        (["schedule=hypergradient"], "its schedule looks at every update"),
        (["accumulate=2"], "a batch is worked through in parts"),
        (["precision=bf16"], "its numbers are of mixed precision"),
        (["dataset=adding", "dataset.train_size=80", "model=lstm", "model.width=4"], "vmap can't"),
    ],
)
def test_what_can_not_go_is_told(overrides: list[str], why: str) -> None:
    assert (tried(*overrides).why_not or "").startswith(why)


def test_what_a_trial_finds() -> None:
    plain, dropped = tried(), tried("model.dropout=0.5")
    assert plain.why_not is None and not plain.draws and dropped.draws
    weights = 64 * 12 + 12 + 12 * 10 + 10
    assert 4 * 7 * weights <= plain.member_bytes < plain.member_bytes + plain.held_bytes
    assert plain.member_bytes + plain.held_bytes < 100 * weights
    averaged = tried("ema=0.9")
    assert weights <= (averaged.member_bytes - plain.member_bytes) / (2 * 4) < 1.1 * weights
    assert plain.work == 2 * 64 * (2 * 64 * 12 + 3 * 12 * 10)
    example = 4 * (64 + 12)  # the first layer's inputs and outputs
    validated = 144  # of the digits
    assert (plain.score_bytes, plain.score_most) == (validated * example, 64 * 64 * example)
    few = tried("batch_size=2", "eval.batch_size=190")
    assert (few.score_bytes, few.score_most) == (validated * example, validated * example)
    unscored = tried("dataset.val_fraction=0")
    assert (unscored.score_bytes, unscored.score_most) == (0, 0)


def test_attention_counts_with_its_scores() -> None:
    """By vmap each head's [tokens, tokens] are there: kept for the backward pass, and scored."""
    vit = ["model=vit", "model.patch_size=1", "model.width=8", "model.depth=2", "batch_size=4"]
    found = tried(*vit, "model.heads=4")
    validated, layers, batch, scores = 144, 2, 4, 4 * 4 * 64**2  # bytes of four heads'
    assert found.held_bytes > layers * batch * scores
    assert found.score_bytes == validated * 2 * scores


def test_members_that_fit_into_memory() -> None:
    scored = Trial(member_bytes=100, score_bytes=50, score_most=400)
    both = Trial(member_bytes=100, held_bytes=20, score_bytes=50, score_most=400)
    for found in (scored, both, Trial(member_bytes=100, held_bytes=60)):
        for size in (0, 149, 150, 1000, 1200, 1299, 1300, 2400, 5000):
            fit = found.members_in(size)
            assert found.bytes_of(fit) <= size < found.bytes_of(fit + 1)


@pytest.mark.parametrize("classes", [10, 16])
def test_operations_that_are_noted_give_the_same(
    classes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of full batches, which come often enough, and of an epoch's last ones, which do not. With a
    small `eps` Adam takes a gradient's last bits for as much as all of it, where it is nearly 0."""
    data = ["dataset=synthetic", f"dataset.num_classes={classes}", "dataset.train_size=250"]
    rule = ["optimizer=adamw", "optimizer.eps=1e-4"]
    lines = [*data, "epochs=2", "batch_size=100", *rule, "steps=null"]
    members = [[*lines, f"seed={n}"] for n in range(3)]
    plain = at_once(members)
    noted: list[bool] = []
    note = traced.Traced._note

    def noting(self: traced.Traced, *args: Any) -> Any:
        found = note(self, *args)
        noted.append(found is not self._function)
        return found

    monkeypatch.setattr(traced, "OFTEN", 3)
    monkeypatch.setattr(traced.Traced, "_note", noting)
    found = at_once(members, total_steps=6)
    assert noted == [True]
    for one, other in zip(found, plain, strict=True):
        close(one.saved, other.saved, 1e-4)
        assert one.losses == pytest.approx(other.losses, rel=1e-5)
    again = at_once(members, total_steps=6)
    assert all(same(everything(a), everything(b)) for a, b in zip(again, found, strict=True))


@pytest.mark.parametrize("width", [6, 100])
def test_what_is_noted_is_lighter(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Biases are added within products, and gradients lie as the update wants them."""
    noted: list[tuple[str, bool]] = []
    note = traced.Traced._note

    def noting(self: traced.Traced, tensors: Any, batch: Any) -> Any:
        graph = note(self, tensors, batch)
        code = getattr(graph, "__self__").code  # noqa: B009
        with torch.no_grad():
            found = graph(tensors, batch)
        gradients = found[1:]  # behind the losses; each member's in one piece
        noted.append((code, all(each[0].is_contiguous() for each in gradients)))
        return graph

    monkeypatch.setattr(traced, "OFTEN", 3)
    monkeypatch.setattr(traced.Traced, "_note", noting)
    members = [["steps=6", f"model.hidden=[{width}]", f"seed={n}"] for n in range(3)]
    found = at_once(members, total_steps=6)
    ((code, as_it_lies),) = noted
    biased = re.findall("(aten.baddbmm|products_and_row)[.(]", code)
    assert as_it_lies and len(biased) == 2 and "aten.add." not in code
    for own, together in zip(members, found, strict=True):
        assert together.losses == pytest.approx(alone(*own).losses, rel=1e-5)


@pytest.mark.parametrize(
    "model",
    [
        ["model=vit", "model.depth=1", "model.width=8", "model.heads=2"],  # with layer norms
        ["model=2c2d"],  # with the largest of each 2 x 2
    ],
)
def test_operations_that_give_several_tensors_are_noted(
    model: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: list[bool] = []
    note = traced.Traced._note

    def noting(self: traced.Traced, tensors: Any, batch: Any) -> Any:
        graph = note(self, tensors, batch)
        noted.append(graph is not self._function)
        return graph

    monkeypatch.setattr(traced, "OFTEN", 3)
    monkeypatch.setattr(traced.Traced, "_note", noting)
    members = [["steps=4", *model, f"seed={n}"] for n in range(2)]
    found = at_once(members, total_steps=4)
    assert noted == [True]
    for own, together in zip(members, found, strict=True):
        assert together.losses == pytest.approx(alone(*own).losses, rel=1e-5)


class Counting(torch.nn.Linear):
    """A user's own layer."""


def test_what_is_not_known_to_repeat_itself_is_not_noted() -> None:
    task = experiment("steps=5").state.task
    plain = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU())
    assert traced.repeats_itself(plain, task)
    assert not traced.repeats_itself(torch.nn.Sequential(plain, Counting(2, 2)), task)
    assert not traced.repeats_itself(torch.nn.Sequential(torch.nn.BatchNorm1d(2)), task)


def test_a_trial_counts_attention_too() -> None:
    """Two products of T x T x width a layer, five backward: torch counts none on a CPU."""
    text = ["dataset=text", f"dataset.path={__file__}", "dataset.context=8", "optimizer=adamw"]
    few = [*text, "model=gpt", "model.width=16", "model.heads=2", "model.dropout=0"]
    one, two = (tried(*few, f"model.layers={n}").work for n in (1, 2))
    products = 6 * 8 * 12 * 16 * 16  # forward and twice that backward of qkv, projection and MLP
    attention = 7 * 2 * 8 * 8 * 16
    assert two - one == 64 * (products + attention)
