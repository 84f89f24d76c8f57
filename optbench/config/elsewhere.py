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
MEANT = {
    "schedule.min_ratio": ("min_lr", "eta_min", "lr_min"),
    "monitor.sinks=[wandb]": ("wandb", "logger", "project", "report_to", "log_with"),
    "device": ("accelerator", "use_cuda", "no_cuda", "use_gpu"),
    "seed": ("random_seed", "rng_seed", "manual_seed", "random_state"),
    "dataset.val_fraction": ("val_split", "validation_split", "val_size", "test_size"),
    "ema=0.999": ("swa", "averaging"),
}
"""Keys, and what others call them that looks like another one."""
SAID = {
    "schedule=step and schedule=multistep have it": ("step_size", "milestones", "gamma"),
    "a score's mode is the task's; target.mode=max, and tune's metric=val/accuracy, say another": (
        "direction",
        "maximize",
        "minimize",
    ),
    "images have dataset.crop and dataset.flip": (
        "augment",
        "augmentation",
        "transform",
        "transforms",
    ),
    "dataset.workers load examples, executor.workers do many runs": (
        "workers",
        "num_workers",
        "n_workers",
    ),
}
"""What does the same here, where it is no one key."""
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
    for key, names in MEANT.items():
        if word in map(flat, names):
            return f"did you mean {key}?"
    for said, names in SAID.items():
        if word in map(flat, names):
            return said
    if word in map(flat, CONFIG):
        return "a file of your own is chosen by its name, from a folder given with --config-dir"
    return None
