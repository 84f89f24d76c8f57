"""Runs that are looked at on the device that is not there, in a process of their own: `python -m
device.cases GROUP` in tests/ prints what each of a group comes to, as JSON."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from functools import partial

import yaml

from optbench.compose.paths import configs_folder

LINES = ["steps=20", "monitor.every=0"]
NOT_ALONE = ("custom", "zoo")
"""Files of the group optimizer that need a name beside them."""

PLAIN: Mapping[str, Sequence[str]] = {
    "accumulation": ["optimizer=sgd", "accumulate=3"],
    "clipping": ["optimizer=adamw", "clip.norm=1.0"],
    "clipping by group": [
        *("optimizer=adamw", "clip.norm=1.0", "clip.per_group=true"),
        "optimizer.decay_norm_and_bias=false",
    ],
    "clipping values": ["optimizer=adamw", "clip.value=0.1"],
    "adaptive clipping": ["optimizer=adamw", "clip.adaptive=0.01"],
    "centralised gradients": ["optimizer=sgd", "optimizer.centralize_gradients=true"],
    "averages": ["optimizer=sgd", "ema=0.9"],
    "schedule": ["optimizer=adamw", "schedule=cosine", "schedule.warmup_steps=2"],
    "one cycle": ["optimizer=adamw", "schedule=one_cycle"],
    "schedule that reacts": ["optimizer=adamw", "schedule=auto_loss", "monitor.every=1"],
    "weight decay as a penalty": ["optimizer=sgd", "optimizer.weight_decay=1e-3"],
    "lookahead": ["optimizer=adamw", "wrapper=lookahead"],
    "sam": ["optimizer=adamw", "wrapper=sam"],
    "adaptive sam": ["optimizer=sgd", "wrapper=sam", "wrapper.adaptive=true"],
    "schedule-free": ["optimizer=schedulefree"],
    "monitored": ["optimizer=adamw", "monitor.every=2"],
    "monitored, clipped, averaged": ["monitor.every=1", "clip.norm=1.0", "ema=0.9", "accumulate=2"],
    "dropout": ["optimizer=adamw", "model.dropout=0.1"],
    "label smoothing": ["optimizer=adamw", "label_smoothing=0.1"],
    "layers' own rates": ["optimizer=adamw", "optimizer.layer_decay=0.8"],
    "frozen": ["optimizer=adamw", "freeze=[blocks.*]"],
}
"""What a run may ask for beside its optimizer."""

IMAGES = ["dataset=synthetic", "dataset.shape=[1,16,16]", "dataset.train_size=80", "batch_size=10"]
PIXELS = ["task.mean=[0]", "task.std=[1]"]
TEXT = ["dataset=text", "dataset.path=text.txt", "dataset.context=8", "batch_size=4"]
FEW = ["dataset.train_size=80", "dataset.val_size=9", "batch_size=10"]
TASKS: Mapping[str, Sequence[str]] = {
    "classification, convolutions": [*IMAGES, "model=2c2d"],
    "reconstruction": [*IMAGES, "model=autoencoder", "model.hidden=[8]", "model.code=4", *PIXELS],
    "language, attention": [*TEXT, "model=gpt", "model.layers=1", "model.heads=2", "model.width=8"],
    "language, recurrent": [*TEXT, "model=lstm", "model.layers=1", "model.width=8"],
    "language, carried": [
        *(*TEXT, "model=lstm", "model.layers=1", "model.width=8"),
        *("task.carry=true", "dataset.stride=null"),
    ],
    "regression": ["model=quadratic_deep", "dataset=draws", *FEW],
    "sequences": [
        *("model=rnn", "dataset=adding", *FEW, "dataset.test_size=9"),
        *("dataset.length=8", "model.width=8"),
    ],
    "a test function": ["model=rosenbrock", "model.dim=4", "optimizer=adam"],
}


AT_ONCE: Mapping[str, Sequence[str]] = {
    "adamw": ["optimizer=adamw"],
    "sgd, clipped": ["optimizer=sgd", "optimizer.momentum=0.9", "clip.norm=1.0"],
    "values clipped": ["optimizer=rmsprop", "clip.value=0.1"],
    "by group": ["clip.norm=1.0", "clip.per_group=true", "optimizer.decay_norm_and_bias=false"],
    "lion, averaged": ["optimizer=lion", "ema=0.9"],
    "lamb": ["optimizer=lamb"],
    "convolutions": [*IMAGES, "model=2c2d"],
    "attention": [*TEXT, "model=gpt", "model.layers=1", "model.heads=2", "model.width=8"],
    "a test function": ["model=rosenbrock", "model.dim=4", "optimizer=adam"],
    "schedule": ["optimizer=rmsprop", "schedule=cosine"],
    "schedule, fused": ["optimizer=adamw", "schedule=cosine"],
}
"""Runs of which two are trained at once, each in a process of its own: torch corrupts its heap
after several, whatever of them is left out."""


def optimizers() -> dict[str, list[str]]:
    """Every file of the group optimizer, in every implementation that its YAML names."""
    found = {}
    for path in sorted((configs_folder() / "optimizer").glob("*.yaml")):
        about = yaml.safe_load(path.read_text(encoding="utf-8")).get("_about_", {})
        listed = about.get("implementations")
        if path.stem in NOT_ALONE:
            continue
        for way in listed if isinstance(listed, list) else ["auto"]:
            if way != "compiled":  # the compiler wants numbers
                choice = f"optimizer.implementation={way}"
                found[f"{path.stem} {way}"] = [f"optimizer={path.stem}", choice]
    always = ["optimizer.factors_every=1", "optimizer.inverses_every=1"]
    for name in ("kfac", "ekfac"):
        found[f"{name} always"] = [f"optimizer={name}", *always]
    return found


def of_the_zoo() -> dict[str, list[str]]:
    """Every optimizer of the library."""
    from optbench.config.zoo import zoo

    return {name: ["optimizer=zoo", f"optimizer.name={name}"] for name in zoo()}


GRAPH = ("lion", "lamb", "adabound", "heavy_ball", "adam", "nadam", "rmsprop")
"""Optimizers of steps that are noted as graphs, in their implementation for a GPU."""
GRAPH_BESIDE = (
    *("accumulation", "clipping", "clipping by group", "clipping values", "adaptive clipping"),
    *("averages", "schedule", "dropout", "layers' own rates", "frozen"),
)
"""What of `PLAIN` goes beside one of them, in place of what is fused on a GPU."""


def noted() -> dict[str, list[str]]:
    """Steps that are noted as graphs."""
    found = {n: [f"optimizer={n}", "optimizer.implementation=foreach"] for n in GRAPH}
    for name in GRAPH_BESIDE:
        found[name] = [*PLAIN[name], "optimizer=lion"]
    return found | {
        name: [*lines, "optimizer=lion"] for name, lines in TASKS.items() if "carried" not in name
    }


PLANTED = {
    name: ["optimizer=custom", f"optimizer._target_=device.planted.{name}", "optimizer.lr=0.1"]
    for name in (
        *("Plain", "Item", "Branch", "Cpu", "To", "Numpy", "Sent", "Told"),
        *("Mixed", "Index", "Nonzero", "Solve", "Eigenvalues", "Mask"),
    )
}

GROUPS = {
    "planted": lambda: PLANTED,
    "optimizers": optimizers,
    "zoo": of_the_zoo,
    "plain": lambda: {name: list(lines) for name, lines in PLAIN.items()},
    "tasks": lambda: {name: list(lines) for name, lines in TASKS.items()},
    "noted": noted,
    "noted, of all": lambda: {n: lines for n, lines in optimizers().items() if "always" not in n},
    **{
        f"at once: {name}": partial(dict[str, list[str]], {name: list(lines)})
        for name, lines in AT_ONCE.items()
    },
}


def main() -> None:
    """Prints the outcomes of a group."""
    warnings.simplefilter("ignore")  # torch's, of a device that has no generators
    from .fake import outcome, train_at_once, train_noted

    group = sys.argv[1]
    ways = {"at once": train_at_once, "noted": train_noted}
    train = next((way for start, way in ways.items() if group.startswith(start)), None)
    found = {n: outcome(*LINES, *lines, train=train) for n, lines in GROUPS[group]().items()}
    print(json.dumps(found), flush=True)
    os._exit(0)  # torch's thread for the device's gradients may abort Python at its end


if __name__ == "__main__":
    main()
