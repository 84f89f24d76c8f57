"""Precision and recall of the doctor's rules on the trainings of doctor_corpus.py.

An alarm is right where the fault that was planted may rightly cause it (`CAUSES`); in a healthy
training none is. A rule's recall is over the faults that it is there for, the first of `CAUSES`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import optbench
from optbench.doctor.diagnosis import examined
from optbench.symptoms.rules import NAMES, RULES

WILD = ("exploding", "spike", "divergence", "oscillation", "update_ratio", "dead_relu",
        "saturation", "plateau", "constant_loss", "gap", "overfitting", "vanishing")  # fmt: skip
"""What a learning rate far too high may do."""
STUCK = ("plateau", "too_slow", "update_ratio", "constant_loss", "vanishing")
"""What is seen of a training that gets nowhere."""

CAUSES: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "lr_high": (("update_ratio",), WILD),
    "lr_diverges": (("divergence",), WILD),
    "lr_low": (("too_slow",), STUCK),
    "deep_sigmoid": (("vanishing",), (*STUCK, "saturation")),
    "dead_relu": (("dead_relu",), STUCK),
    "saturated_tanh": (("saturation",), (*STUCK, "exploding", "gap", "overfitting")),
    "unscaled_inputs": (("saturation",), (*WILD, *STUCK)),
    "recurrent_gain": (("saturation",), WILD),
    "deep_gain": (("exploding",), (*WILD, "too_slow")),
    "lr_bump": (("spike",), (*WILD, "schedule_restarted")),
    "clip_tight": (("clipped_always",), STUCK),
    "clip_loose": (("clipped_never",), ()),
    "fp16_overflow": (("loss_scale",), (*WILD, *STUCK)),
    "few_examples": (("gap",), ("overfitting", "noisy_validation")),
    "label_noise": (("overfitting",), ("gap", "plateau", "oscillation")),
    "few_validated": (("noisy_validation",), ("oscillation", "overfitting", "gap", "too_good")),
    "schedule_ends": (("schedule_ended",), STUCK),
    "schedule_restarts": (("schedule_restarted",), ("spike", "overfitting")),
    "ema_long": (("ema_cold",), ("gap",)),
    "negative_loss": (("negative_loss",), ("overfitting", "gap")),
    "log_of_nothing": (("negative_loss",), (*WILD, "too_good")),
    "no_output": (("constant_loss",), STUCK),
    "leak": (("too_good",), ()),
    "peek": (("too_good",), ()),
}
"""By fault: the rules that are there for it, and what else it may rightly cause."""


@dataclass
class Tally:
    """Of one rule.

    Attributes:
        right, false: alarms.
        found, planted: of the faults that it is there for.
        wrong: the runs of false alarms.
        missed: the runs without one.
    """

    right: int = 0
    false: int = 0
    found: int = 0
    planted: int = 0
    wrong: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)

    @property
    def precision(self) -> float | None:
        alarms = self.right + self.false
        return self.right / alarms if alarms else None

    @property
    def recall(self) -> float | None:
        return self.found / self.planted if self.planted else None


def tallied(folder: Path, part: str) -> tuple[dict[str, Tally], dict[str, int]]:
    """Each rule's tally, and how many runs there are."""
    tallies, counts = {name: Tally() for name in NAMES}, defaultdict[str, int](int)
    for path, run in json.loads((folder / "corpus.json").read_text(encoding="utf-8")).items():
        if run["part"] != part or not (folder / path / "summary.json").exists():
            continue
        healthy = run["fault"] == "healthy"
        there_for, also = ((), ()) if healthy else CAUSES[run["fault"]]
        counts["healthy" if healthy else "faulty"] += 1
        found = examined(optbench.open_run(folder / path), every=True)
        alarms = {symptom.name for symptom in found.symptoms}
        counts["healthy with an alarm"] += healthy and bool(alarms)
        counts["faults found"] += bool(alarms & {*there_for, *also})
        for name in alarms:
            if name in there_for or name in also:
                tallies[name].right += 1
            else:
                tallies[name].false += 1
                tallies[name].wrong.append(path)
        for name in there_for:
            tallies[name].planted += 1
            tallies[name].found += name in alarms
            if name not in alarms:
                tallies[name].missed.append(f"{path} ({' '.join(sorted(alarms))})")
    return tallies, dict(counts)


def table(tallies: Mapping[str, Tally]) -> list[str]:
    """A row for each rule, and one for all that are on."""
    lines = ["| rule | alarms | right | precision | planted | found | recall | on |"]
    lines += ["| --- | --: | --: | --: | --: | --: | --: | --- |"]
    total = Tally()
    for rule in RULES:
        tally = tallies[rule.name]
        lines.append(_row(rule.name, tally, "yes" if rule.default else "no"))
        if rule.default:
            for key in ("right", "false", "found", "planted"):
                setattr(total, key, getattr(total, key) + getattr(tally, key))
    return [*lines, _row("all that are on", total, "")]


def _row(name: str, tally: Tally, on: str) -> str:
    precision = "-" if tally.precision is None else f"{tally.precision:.2f}"
    recall = "-" if tally.recall is None else f"{tally.recall:.2f}"
    return (
        f"| {name} | {tally.right + tally.false} | {tally.right} | {precision} "
        f"| {tally.planted} | {tally.found} | {recall} | {on} |"
    )


def report(folder: Path, part: str, wrong: bool) -> list[str]:
    """The table of a part, and what its runs are; with `wrong` each false alarm and each miss."""
    tallies, counts = tallied(folder, part)
    lines = [*table(tallies), "", ", ".join(f"{name} {count}" for name, count in counts.items())]
    for name, tally in tallies.items() if wrong else ():
        lines += [f"false {name}: {path}" for path in tally.wrong]
        lines += [f"missed {name}: {path}" for path in tally.missed]
    return lines
