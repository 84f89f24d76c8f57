"""Settings of other programs that are no key here: what does the same."""

from __future__ import annotations

from typing import Any

from optbench.config.suggest import flat

PROCESSES = (
    "gpus",
    "num_gpus",
    "n_gpus",
    "ngpus",
    "nproc",
    "nproc_per_node",
    "world_size",
    "distributed",
    "ddp",
    "devices",
    "num_devices",
    "nodes",
    "num_nodes",
    "num_processes",
)
FOLDER = (
    "folder",
    "output_dir",
    "output",
    "out",
    "out_dir",
    "outdir",
    "run_dir",
    "rundir",
    "log_dir",
    "logdir",
    "save_dir",
    "save_to",
    "dir",
    "results_dir",
    "exp_dir",
)
CONFIG = ("config", "config_file", "cfg", "config_path", "yaml")


def elsewhere(word: str, value: Any) -> str | None:
    """Return what does here what a setting does elsewhere; None for one that none is known of.

    Args:
        word: as it was written.
        value: for it, None if that is not known.
    """
    word = flat(word)
    if word in map(flat, PROCESSES):
        whole = isinstance(value, int) and not isinstance(value, bool) and value > 1
        count = value if whole else 2
        return f"on several GPUs: torchrun --nproc-per-node {count} -m optbench train ..."
    if word in map(flat, FOLDER):
        plain = isinstance(value, str) and value and " " not in value
        return f"did you mean hydra.run.dir={value if plain else '...'}?"
    if word in map(flat, CONFIG):
        return "a file of your own is chosen by its name, from a folder given with --config-dir"
    return None
