"""Records in Weights & Biases (extra `wandb`)."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optbench.monitor.record import Record


class WeightsAndBiases:
    """One run there for each of ours; a resumed one goes on in the one that it had.

    Args:
        folder: the run's; a hash of its path is the id there.
        name: the run's.
        config: the run's, plain.
        settings: further arguments of `wandb.init`, such as project, entity, mode or tags.
    """

    def __init__(self, folder: Path, name: str, config: Mapping[str, Any], **settings: Any) -> None:
        wandb = importlib.import_module("wandb")
        identity = hashlib.sha256(str(folder.resolve()).encode("utf-8")).hexdigest()[:16]
        own = {"project": "optbench", "name": name, "id": identity, "dir": str(folder)}
        quiet = {"console": "off", "silent": True}
        given = {**own, "config": dict(config), "resume": "allow", "settings": quiet, **settings}
        self._run: Any = wandb.init(**given)

    def write(self, record: Record) -> None:
        """Log the values by tag, at the record's step."""
        self._run.log({**record.values, "epoch": record.epoch}, step=record.step)

    def close(self) -> None:
        """End the run there."""
        self._run.finish()
