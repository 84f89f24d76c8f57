"""What a run was made with: `env.json`."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
import sys
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from optbench.version import __version__

PACKAGES = (
    "torch",
    "torchvision",
    "hydra-core",
    "omegaconf",
    "tensorboard",
    "numpy",
    "scipy-openblas32",  # members' products may be its
)


@lru_cache
def _constant() -> dict[str, Any]:
    """Return what does not change while the process lives."""
    versions = {"optbench": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "versions": versions,
        "git": _git(Path(__file__).parents[1]),
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
    }


def _git(folder: Path) -> dict[str, Any]:
    """Return the commit that the code is of, and whether it was changed since, if git can tell."""
    commit = _run(folder, "rev-parse", "HEAD")
    if commit is None:
        return {}
    changes = _run(folder, "status", "--porcelain")
    return {"commit": commit, "dirty": None if changes is None else bool(changes)}


def _run(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def made_with() -> dict[str, Any]:
    """Return versions, commit, host, platform, number of cores."""
    return dict(_constant())


def environment(device: Any, world_size: int, implementation: str) -> dict[str, Any]:
    """Return versions, commit, host, device, ranks, optimizer implementation and command line."""
    import torch

    cuda = device.type == "cuda"
    return {
        **_constant(),
        "device": torch.cuda.get_device_name(device) if cuda else "cpu",
        "cuda": torch.version.cuda if cuda else None,
        "threads": torch.get_num_threads(),
        "world_size": world_size,
        "optimizer_implementation": {"model": implementation},
        "command": sys.argv,
        "pid": os.getpid(),
    }
