"""Run folders by the thousand: real runs' files, with other seeds, rates, scores and curves."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import yaml

import optbench
from optbench.rundir import RunDir

OPTIMIZERS = {"sgd": 0.1, "adamw": 0.003, "lion": 0.0005, "rmsprop": 0.002, "adam": 0.001}
"""With a learning rate that does well."""
FACTORS = (0.1, 0.3, 1.0, 3.0, 10.0)
"""By which this is multiplied."""
WIDTHS = range(20, 60, 2)
"""Of the hidden layer: a workload each."""
NORMS = ("grad_norm", "param_norm", "update_ratio")
TARGET = 0.93
STEPS, EVALUATIONS = 500, 25
STATES = ("finished",) * 94 + ("diverged",) * 3 + ("failed", "preempted", "killed")


def make(folder: Path, many: int, begun: Path) -> None:
    """Make so many run folders, seed after seed of five optimizers at five rates on each workload.

    Args:
        folder: below which.
        many: how many; 5,000 are ten seeds of all.
        begun: where the real runs go that the others are copies of, one an optimizer.
    """
    draw = random.Random(0)
    real = [_real(begun / optimizer, optimizer) for optimizer in OPTIMIZERS]
    arms = [(model, factor) for model in real for factor in FACTORS]
    seeds = -(-many // (len(WIDTHS) * len(arms)))
    places = [(w, arm, seed) for w in WIDTHS for arm in range(len(arms)) for seed in range(seeds)]
    for width, arm, seed in places[:many]:
        to = folder / f"{width}" / f"{arm:02}-{seed}"
        model, factor = arms[arm]
        _write(to, model, width, factor, seed, draw)


def _real(to: Path, optimizer: str) -> dict[str, Any]:
    """Return the files of a real run."""
    words = ["model=mlp", "dataset=digits", f"optimizer={optimizer}"]
    target = ["target.metric=val/accuracy", f"target.value={TARGET}"]
    small = ["steps=4", "epochs=null", "device=cpu", "threads=1", "monitor.tensorboard=false"]
    result = optbench.train(*words, *target, *small, "checkpoint=none", folder=to)
    run = RunDir(result.run.path)
    return {
        "words": [*words, *target],
        "optimizer": optimizer,
        "config": yaml.safe_load(run.config.read_text(encoding="utf-8")),
        "choices": run.read_overrides()["choices"],
        **{name: run.read_json(f"{name}.json") for name in ("env", "status", "summary")},
    }


def _write(
    to: Path, model: dict[str, Any], width: int, factor: float, seed: int, draw: random.Random
) -> None:
    to.mkdir(parents=True)
    folder = RunDir(to)
    optimizer = model["optimizer"]
    lr = float(f"{OPTIMIZERS[optimizer] * factor:.3g}")
    changed = [f"model.hidden=[{width}]", f"optimizer.lr={lr}", f"seed={seed}", f"steps={STEPS}"]
    words = [*model["words"], *changed]
    config = {**model["config"], "seed": seed, "steps": STEPS, "name": f"run {to.name}"}
    config["optimizer"] = {**config["optimizer"], "lr": lr}
    config["model"] = {**config["model"], "hidden": [width]}
    text = yaml.dump(config, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), sort_keys=False)
    folder.config.write_text(text, encoding="utf-8")
    said = yaml.safe_dump({"overrides": words, "choices": model["choices"]}, sort_keys=False)
    folder.overrides.write_text(said, encoding="utf-8")
    state = draw.choice(STATES)
    written = "running" if state == "killed" else state
    folder.write_json("env.json", {**model["env"], "command": ["optbench", "train", *words]})
    folder.write_json("status.json", {**model["status"], "state": written, "step": STEPS})
    best = 0.96 - 0.03 * math.log10(factor) ** 2 - 0.01 * list(OPTIMIZERS).index(optimizer)
    best += width / 4000 + draw.gauss(0, 0.006)
    lines = [line for at in range(1, EVALUATIONS + 1) for line in _records(at, best, lr, draw)]
    folder.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    folder.log.write_text("", encoding="utf-8")
    if written in ("finished", "diverged"):
        folder.write_json("summary.json", _summary(model["summary"], state, best, lines))


def _summary(
    real: dict[str, Any], state: str, best: float, lines: list[dict[str, Any]]
) -> dict[str, Any]:
    final = {key: value for line in lines[-4:] for key, value in line.items() if "/" in key}
    step = next((line["step"] for line in lines if line.get("val/accuracy", 0) >= TARGET), None)
    seconds = None if step is None else step * 0.002
    named = {"metric": "val/accuracy", "mode": "max"}
    return {
        **real,
        "state": state,
        "step": STEPS,
        "examples": 64 * STEPS,
        "final": final,
        "best": {**named, "value": best, "step": STEPS},
        "target": {**named, "value": TARGET, "step": step, "seconds": seconds},
    }


def _records(part: int, best: float, lr: float, draw: random.Random) -> list[dict[str, Any]]:
    """Return the lines of one evaluation."""
    step = part * STEPS // EVALUATIONS
    at = {"step": step, "epoch": step / 21, "examples": 64 * step, "seconds": step * 0.002}
    accuracy = best - 0.8 * math.exp(-part / 3) + draw.gauss(0, 0.004)
    loss = 0.1 + 2 * math.exp(-part / 4) + abs(draw.gauss(0, 0.02)) + 2 * (0.97 - best)
    names = [f"{what}/{name}" for name in ("total", "head.weight", "head.bias") for what in NORMS]
    lines = [
        {"kind": "train", **at, "lr/model": lr, "train/loss": loss},
        {"kind": "monitor", **at, **{name: abs(draw.gauss(1, 0.1)) * lr for name in names}},
        {"kind": "val", **at, "val/loss": loss * 1.1, "val/accuracy": accuracy},
    ]
    if part == EVALUATIONS:
        scores = {"test/loss": loss * 1.15, "test/accuracy": accuracy - 0.004}
        lines.append({"kind": "test", **at, **scores})
    return lines
