"""The project's own YAML files as plain data, without Hydra."""

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

CONFIGS = Path(__file__).parents[2] / "configs"
CHOICES = {
    "model": "mlp",
    "dataset": "digits",
    "optimizer": "adamw",
    "wrapper": "none",
    "schedule": "constant",
    "precision": "fp32",
    "checkpoint": "default",
    "task": "classification",
}


def plain(path: Path) -> dict[str, Any]:
    """A file's keys, without its defaults list and `_about_`; interpolations as written."""
    values = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items() if key not in ("defaults", "_about_")}


def composed(**choices: str) -> dict[str, Any]:
    """config.yaml with a file for each group, as Hydra would put them together."""
    values = plain(CONFIGS / "config.yaml")
    values.pop("hydra")
    for group, choice in (CHOICES | choices).items():
        shared = CONFIGS / f"_{group}.yaml"
        own = plain(CONFIGS / group / f"{choice}.yaml")
        values[group] = values.get(group, {}) | (plain(shared) if shared.is_file() else {}) | own
    values["name"] = "a-name"
    values["dataset"]["split_seed"] = values["seed"]
    return values
