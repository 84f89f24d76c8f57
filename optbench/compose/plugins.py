"""Launchers and sweepers of Hydra's that are packages of their own."""

from __future__ import annotations

from collections.abc import Sequence

from hydra.core.config_loader import ConfigLoader

from optbench.compose.hydra_internals import repository
from optbench.config.suggest import did_you_mean, nearest

PACKAGES = {
    "launcher": {
        "joblib": "'optbench[joblib]'",
        "submitit_slurm": "hydra-submitit-launcher",
        "submitit_local": "hydra-submitit-launcher",
        "ray": "hydra-ray-launcher",
        "ray_aws": "hydra-ray-launcher",
        "rq": "hydra-rq-launcher",
    },
    "sweeper": {
        "optuna": "hydra-optuna-sweeper",
        "nevergrad": "hydra-nevergrad-sweeper",
        "ax": "hydra-ax-sweeper",
    },
}
"""What `pip install` takes for a choice of a kind."""
CALLED = {"slurm": "submitit_slurm", "submitit": "submitit_slurm", "local": "submitit_local"}
"""Other words for a choice."""


def plugin_meant(kind: str, word: str, found: Sequence[str]) -> str:
    """Return which of Hydra's choices was meant, or where it comes from.

    Args:
        kind: `launcher` or `sweeper`.
        word: no choice that there is.
        found: the choices that there are.
    """
    packages = PACKAGES.get(kind, {})
    name = CALLED.get(word, word)
    if name not in (*packages, *found):
        name = nearest(word, [*found, *packages]) or ""
    if name in packages and name not in found:
        it = "it" if name == word else f"{name}, if that is meant,"
        return f"{it} comes with pip install {packages[name]}"
    return f"did you mean {name}?" if name in found else did_you_mean(word, found)


def hydras_own(loader: ConfigLoader) -> list[str]:
    """Return a line for each of Hydra's own groups that there is a choice of: its files."""
    known = repository(loader)
    kinds = {kind: known.get_group_options(f"hydra/{kind}") for kind in ("launcher", "sweeper")}
    return [f"hydra/{kind}={'|'.join(files)}" for kind, files in kinds.items()]
