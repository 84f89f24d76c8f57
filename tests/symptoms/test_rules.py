"""Each rule says nothing of an ordinary training, and finds what it is there for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from optbench.symptoms.base import Record, Rule, Symptom
from optbench.symptoms.examination import Examination
from optbench.symptoms.facts import Facts
from optbench.symptoms.measured import precision
from optbench.symptoms.rules import NAMES, RULES, made

FACTS = Facts(
    task="Classification",
    schedule="Constant",
    optimizer="AdamW",
    lr=0.01,
    clip=1.0,
    ema=0.9,
    scaled=True,
    batch_size=64,
    classes=10,
    validated=500,
    steps=1000,
)
STEPS = range(10, 1001, 10)
LAYERS = ("a", "b", "c", "d", "e", "f")

Change = Callable[[dict[str, Any]], dict[str, Any] | None]


def jump(step: int, size: float) -> float:
    """Noise that nobody draws."""
    return 1 + size * math.sin(7.3 * step)


def ordinary() -> Iterator[dict[str, Any]]:
    """The records of a healthy training, every tenth step; scored at each fiftieth."""
    for step in STEPS:
        at = {"step": step, "epoch": step / 50}
        loss = (0.4 + 1.9 * math.exp(-step / 200)) * jump(step, 0.03)
        scale = {"precision/loss_scale": 65536.0, "precision/skipped_steps": 0.0}
        yield {"kind": "train", **at, "train/loss": loss, "lr/model": 0.01, **scale}
        norms: dict[str, float] = {"grad_norm/total": 0.8 * jump(step, 0.3)}
        norms |= {"param_norm/total": 10.0, "update_ratio/total": 1e-3 * jump(step, 0.2)}
        for layer in LAYERS:
            norms |= {f"grad_norm/{layer}.weight": 0.3, f"param_norm/{layer}.weight": 4.0}
        norms |= {"dead_units/a": 0.05, "saturated/b": 0.1}
        yield {"kind": "monitor", **at, **norms}
        if step % 50 == 0:
            score = {"val/loss": loss * 1.1, "val/accuracy": 0.9 - 0.5 * math.exp(-step / 200)}
            yield {"kind": "val", **at, **score}
    yield {"kind": "end", "step": 1000, "epoch": 20.0, "state": "finished", "message": ""}


def found(records: Iterable[Record], facts: Facts = FACTS) -> dict[str, Symptom]:
    examination = Examination(made(facts, every=True))
    for record in records:
        examination.see(record)
    names = [symptom.name for symptom in examination.found]
    assert len(set(names)) == len(names), names
    return {symptom.name: symptom for symptom in examination.found}


def changed(change: Change) -> Iterator[dict[str, Any]]:
    for record in ordinary():
        new = change(dict(record))
        yield record if new is None else new


def values(kind: str, **by_tag: Callable[[int], float]) -> Change:
    """Other values of some tags (`a__b` is `a/b`), by step."""

    def change(record: dict[str, Any]) -> dict[str, Any] | None:
        if record["kind"] != kind:
            return None
        own = {tag.replace("__", "/"): of(record["step"]) for tag, of in by_tag.items()}
        return {**record, **own}

    return change


def late(value: float, else_: float, after: int = 500) -> Callable[[int], float]:
    return lambda step: value if step > after else else_


def of_layer(record: dict[str, Any]) -> dict[str, Any]:
    """A gradient that is a tenth of the next layer's, five times over."""
    if record["kind"] != "monitor":
        return record
    own = {f"grad_norm/{layer}.weight": 0.3 * 10.0 ** (k - 5) for k, layer in enumerate(LAYERS)}
    return {**record, **own}


def ended(record: dict[str, Any]) -> dict[str, Any]:
    return {**record, "state": "diverged"} if record["kind"] == "end" else record


def creeping(record: dict[str, Any]) -> dict[str, Any]:
    step = record["step"]
    if record["kind"] == "train":
        return {**record, "train/loss": 2.3 - 0.2 * step / 1000}
    if record["kind"] == "val":
        return {**record, "val/loss": 2.3 - 0.2 * step / 1000}
    return {**record, "update_ratio/total": 1e-5} if record["kind"] == "monitor" else record


def forgetting(record: dict[str, Any]) -> dict[str, Any]:
    return {**record, "val/loss": 0.6 + record["step"] / 700} if record["kind"] == "val" else record


PLANTED: dict[str, Change] = {
    "divergence": values("train", train__loss=late(9.0, 2.0)),
    "exploding": values("monitor", grad_norm__total=late(900.0, 0.8)),
    "spike": values("train", train__loss=lambda step: 2.0 if step == 800 else 0.5),
    "vanishing": of_layer,
    "dead_relu": values("monitor", dead_units__a=late(0.9, 0.1)),
    "saturation": values("monitor", saturated__b=late(0.9, 0.1)),
    "oscillation": values("val", val__loss=lambda step: 2.0 if step % 100 else 0.7),
    "too_slow": creeping,
    "plateau": values("train", train__loss=lambda step: 2.3 * jump(step, 0.01)),
    "update_ratio": values("monitor", update_ratio__total=late(1e-8, 1e-3)),
    "clipped_always": values("monitor", grad_norm__total=lambda step: 80.0 * jump(step, 0.3)),
    "clipped_never": values("monitor", grad_norm__total=lambda step: 1e-3 * jump(step, 0.3)),
    "loss_scale": values("train", precision__loss_scale=late(2.0**-8, 2.0**16)),
    "gap": values("val", val__loss=late(1.9, 1.0)),
    "overfitting": forgetting,
    "schedule_ended": values("train", lr__model=late(1e-8, 1e-2)),
    "schedule_restarted": values(
        "train", lr__model=lambda s: 1e-2 if s <= 300 or s > 600 else 1e-4
    ),
    "negative_loss": values("train", train__loss=lambda step: -0.5),
    "constant_loss": values("train", train__loss=lambda step: 2.3026),
    "too_good": values("val", val__loss=lambda step: 1e-3),
}


def test_an_ordinary_training_has_no_symptom() -> None:
    assert found(ordinary()) == {}


@pytest.mark.parametrize("name", PLANTED)
def test_a_rule_finds_what_it_is_there_for(name: str) -> None:
    symptom = found(changed(PLANTED[name]))[name]
    assert symptom.step in (*STEPS, 1000)
    assert all("=" in remedy for remedy in symptom.remedies) and symptom.cause
    assert "\n" not in symptom.line and symptom.line.startswith(f"{name} at step {symptom.step}: ")


def test_a_run_that_ended_as_diverged_did() -> None:
    assert set(found(changed(ended))) == {"divergence"}


def test_few_validated_examples_choose_by_chance() -> None:
    chance = values("val", val__accuracy=lambda step: 0.8 + 0.05 * (step % 3 == 0))
    few = Facts(**{**vars(FACTS), "validated": 20})
    assert "noisy_validation" in found(changed(chance), few)
    assert "noisy_validation" not in found(changed(chance))


def test_an_average_that_holds_the_first_weights() -> None:
    long = Facts(**{**vars(FACTS), "ema": 0.999})
    behind = values("val", val__loss=lambda step: 2.0)
    assert "ema_cold" in found(changed(behind), long)
    assert "ema_cold" not in found(changed(behind))


def test_every_rule_is_tried_here() -> None:
    assert {*PLANTED, "noisy_validation", "ema_cold"} == set(NAMES)


def test_rules_see_no_clock_and_bear_what_is_missing() -> None:
    """Of a run without monitoring, validation or a length nobody says anything."""
    bare = ({"kind": r["kind"], "step": r["step"]} for r in ordinary())
    assert found(bare, Facts()) == {}
    with_nan = values("train", train__loss=lambda step: math.nan)
    assert "divergence" in found(changed(with_nan))


def test_a_rule_that_fails_is_left_out() -> None:
    class Bad(Rule):
        name = "bad"

        def observe(self, record: Record) -> Symptom | None:
            raise KeyError("x")

    told: list[str] = []
    examination = Examination([Bad(FACTS)], lambda rule, error: told.append(f"{rule.name} {error}"))
    for record in ordinary():
        examination.see(record)
    assert told == ["bad 'x'"] and examination.found == []


def test_each_rule_says_what_it_is() -> None:
    for rule in RULES:
        assert rule.help and len(rule.help) < 100 and rule.kinds
        assert rule.at_end == (rule.kinds[-1] == "end") or rule.name == "divergence"
        assert not rule.default or (precision(rule.name) or 0.0) >= 0.75, rule.name


CONFIG = {
    "steps": 100,
    "ema": 0.9,
    "batch_size": "full",
    "clip": {"norm": 2.0, "per_group": False},
    "task": {"_target_": "optbench.tasks.classification.Classification"},
    "optimizer": {"_target_": "torch.optim.AdamW", "lr": 0.1},
    "dataset": {"val_fraction": 0.1},
    "eval": {"examples": 50},
    "model": {"dropout": 0.1},
}


def test_facts_of_a_config() -> None:
    facts = Facts.of(CONFIG, {"train_size": 1000, "num_classes": 10})
    assert (facts.task, facts.optimizer, facts.lr) == ("Classification", "AdamW", 0.1)
    assert (facts.clip, facts.ema, facts.validated, facts.augmented) == (2.0, 0.9, 50, True)
    assert facts.batch_size is None and facts.guessing == pytest.approx(math.log(10))
    assert facts.done({"step": 25}) == 0.25
    assert facts.lower(10) == "optimizer.lr=0.01"


@pytest.mark.parametrize("config", [{}, {"task": 3, "clip": None, "optimizer": {"lr": "x"}}])
def test_facts_of_what_is_no_config(config: dict[str, Any]) -> None:
    assert Facts.of(config, None).lr is None


def test_layers_may_be_others_in_the_next_record() -> None:
    def record(step: int, layer: str, share: float) -> dict[str, Any]:
        return {"kind": "monitor", "step": step, f"dead_units/{layer}": share}

    seen = found([record(10, "a", 0.1), record(20, "b", 0.9), record(30, "c", 0.9)])
    assert seen["dead_relu"].tags == ("dead_units/c",)


@pytest.mark.parametrize("score", [math.nan, math.inf])
def test_a_score_that_is_no_number_is_divergence_and_no_negative_loss(score: float) -> None:
    at = {"step": 1, "epoch": 0.05}
    records = [
        {"kind": "train", **at, "train/loss": 2.3, "lr/model": 1e30},
        {"kind": "val", **at, "val/loss": score, "val/accuracy": 0.1},
        {"kind": "end", **at, "state": "finished", "message": ""},
    ]
    assert set(found(records)) == {"divergence"}


def test_a_score_far_beyond_its_best_and_its_first_is_divergence() -> None:
    """As after a resume with a learning rate far too high, before training says it three times."""

    def scores(last: float) -> list[dict[str, Any]]:
        values = [2.3, 1.49, last]
        return [{"kind": "val", "step": 10 * k + 10, "val/loss": v} for k, v in enumerate(values)]

    assert found(scores(41.5))["divergence"].evidence == "val/loss 41.5, at its best 1.49"
    assert "divergence" not in found(scores(14.0)), "not ten times its best"
    near = [{"kind": "val", "step": k, "val/loss": v} for k, v in [(1, 2.3), (2, 0.01), (3, 2.0)]]
    assert "divergence" not in found(near), "overfitting: no more than at first"


@pytest.mark.parametrize(("rate", "said"), [(1e30, "1"), (2.0, "0.2"), (30.0, "1")])
def test_a_rate_far_beyond_all_in_use_comes_down_at_once(rate: float, said: str) -> None:
    assert Facts.of({"optimizer": {"lr": rate}}, None).lower(10) == f"optimizer.lr={said}"


def test_a_test_function_has_no_examples_to_blame() -> None:
    values = [(1.0, 1.0), *[(1.0, 9.0)] * 12]
    records: list[dict[str, Any]] = []
    for step, (train, val) in enumerate(values, 1):
        at = {"step": step, "epoch": float(step)}
        records += [{"kind": "train", **at, "train/loss": train}]
        records += [{"kind": "val", **at, "val/loss": val}]
    named = {"_target_": "optbench.tasks.function.Function"}
    whole = Facts.of({"task": named, "optimizer": {"lr": 1.0}, "steps": 13}, None)
    assert not whole.examples
    assert {rule.name for rule in RULES if rule.applies(whole)}.isdisjoint({"gap", "overfitting"})
