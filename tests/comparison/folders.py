"""Run folders as runs leave them, written at once."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from optbench.files import dump_yaml
from optbench.rundir import RunDir

CONFIG: dict[str, Any] = {
    "name": "digits-mlp",
    "tags": [],
    "notes": None,
    "target": {"metric": "val/accuracy", "value": 0.9, "mode": "auto", "source": "x"},
    "seed": 0,
    "epochs": 20,
    "steps": None,
    "batch_size": 64,
    "early_stopping": {"patience": 0, "metric": "val/loss"},
    "model": {"_target_": "optbench.models.mlp.MLP", "hidden": [100]},
    "dataset": {"_target_": "optbench.data.digits.digits", "split_seed": 0, "fold": None},
    "optimizer": {"_target_": "torch.optim.SGD", "lr": 0.1},
    "precision": {"name": "fp32"},
    "eval": {"every": "1ep"},
    "checkpoint": {"best": None},
    "task": {"_target_": "optbench.tasks.classification.Classification"},
}
CHOICES = {"model": "mlp", "dataset": "digits", "optimizer": "sgd", "task": "classification"}
ENVIRONMENT = {
    "versions": {"optbench": "0.1.0", "torch": "2.14.1"},
    "git": {"commit": "a" * 40, "dirty": False},
    "host": "here",
    "device": "cpu",
}
TARGETS = {"sgd": "torch.optim.SGD", "adam": "torch.optim.Adam", "lion": "torch.optim.Lion"}


class Folders:
    """Writes run folders below one folder, each begun a minute after the one before."""

    def __init__(self, top: Path) -> None:
        self.top, self._minute = top, 0

    def write(
        self,
        name: str,
        optimizer: str,
        seed: int,
        score: float | None,
        settings: Mapping[str, Any] = {},
        said: tuple[str, ...] = (),
        state: str = "finished",
        step: int = 420,
        environment: Mapping[str, Any] = {},
        log: str = "",
        final: Mapping[str, float] | None = None,
        status: Mapping[str, Any] = {},
        choices: Mapping[str, str] = {},
        **summary: Any,
    ) -> Path:
        """Write a run's folder; `settings` by dotted key; hashes in `status`, or own."""
        folder = RunDir(self.top / name)
        folder.path.mkdir(parents=True)
        config = copy.deepcopy(CONFIG)
        config["seed"] = config["dataset"]["split_seed"] = seed
        config["optimizer"]["_target_"] = TARGETS.get(optimizer, optimizer)
        chosen = {**CHOICES, "optimizer": optimizer, **choices}
        for key, value in settings.items():
            node = config
            *above, last = key.split(".")
            for part in above:
                node = node[part]
            node[last] = value
        folder.write_config(dump_yaml(config), {"overrides": list(said), "choices": chosen})
        folder.write_json("env.json", {**ENVIRONMENT, **environment})
        self._minute += 1
        started = f"2026-03-01T{self._minute // 60:02}:{self._minute % 60:02}:00+00:00"
        own = sha256(folder.config.read_bytes()).hexdigest()
        seals = [{"sha256": own if seal == "own" else seal} for seal in status.get("config", [])]
        folder.write_status(state, step, **{"started": started, **status, "config": seals})
        scores = {} if score is None else {"test/accuracy": score, "val/accuracy": score - 0.01}
        made = {
            "state": state,
            "step": step,
            "examples": 64 * step,
            "final": scores if final is None else dict(final),
            "best": {"metric": "val/accuracy", "mode": "max", "value": 0.9, "step": 1},
            "target": {},
            **summary,
        }
        folder.write_json("summary.json", made)
        folder.log.write_text(log, encoding="utf-8")
        return folder.path

    def arm(self, optimizer: str, scores: Mapping[int, float | None], **more: Any) -> None:
        """Write a run a seed."""
        for seed, score in scores.items():
            self.write(f"{optimizer}-{seed}", optimizer, seed, score, **more)
