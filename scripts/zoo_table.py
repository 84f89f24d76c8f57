"""Brings optbench/config/zoo.csv up to the installed pytorch-optimizer.

    python scripts/zoo_table.py [--out FILE] [--quick]

Writes, for each of its optimizers: class, lr, arguments, and state, which is measured. Names that
are new get a line whose other columns are for a person to fill in; the rest is kept.
"""

from __future__ import annotations

import csv
import inspect
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from pytorch_optimizer.optimizer import OPTIMIZERS
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from common import parser, start
from optbench.assemble.create import locate
from optbench.config.zoo import FROM_THE_RUN, TABLE

COLUMNS = [
    "name",
    "class",
    "family",
    "paper",
    "year",
    "source",
    "good_for",
    "lr",
    "state",
    "arguments",
    "needs",
]
OURS = "optbench.optim.zoo."
"""Where those are that were made fit for the trainer: their lines name them as the class."""

UNSAID = ("self", "params", "model", "optimizer", "kwargs", "maximize")
SHAPE, STEPS = (60, 40), 12


def arguments(cls: Any) -> dict[str, str]:
    """The constructor's keyword arguments with their defaults, as text without spaces."""
    found = {}
    for name, parameter in inspect.signature(cls.__init__).parameters.items():
        if name not in UNSAID:
            default = parameter.default
            required = default is inspect.Parameter.empty
            plain = isinstance(default, int | float | str | tuple | None)
            found[name] = "" if required else repr(default) if plain else "..."
    return {name: text.replace(" ", "") for name, text in found.items()}


def tensors(value: Any) -> list[Tensor]:
    """All in nested state."""
    if torch.is_tensor(value):
        return [value]
    if isinstance(value, dict):
        return [t for item in value.values() for t in tensors(item)]
    if isinstance(value, str | int | float | None):
        return []
    inside = value if hasattr(value, "__iter__") else vars(value).values()
    return [t for item in inside for t in tensors(item)]


def state(cls: Any, needs: str) -> str:
    """Numbers kept for each number of a matrix, after some steps."""
    torch.manual_seed(0)
    layer = nn.Linear(SHAPE[1], SHAPE[0], bias=False)
    inputs, targets = torch.randn(16, SHAPE[1]), torch.arange(16)
    groups: Any = layer if "module" in needs else [{"params": [layer.weight]}]
    if "use_muon" in needs:
        groups[0]["use_muon"] = True
    run = {key: 100 for key in FROM_THE_RUN}
    optimizer = cls(groups, **{k: v for k, v in run.items() if k in needs})

    def closure() -> Tensor:
        optimizer.zero_grad()
        with torch.enable_grad():
            loss = cross_entropy(layer(inputs), targets)
            loss.backward(create_graph="create_graph" in needs)
        return loss

    asks = inspect.signature(cls.step).parameters["closure"].default is inspect.Parameter.empty
    for _ in range(STEPS):
        if "closure" in needs or asks:
            optimizer.step(closure)
        else:
            closure()
            optimizer.step()
    saved = {k: v for k, v in optimizer.state_dict().items() if k != "param_groups"}
    kept = sum(t.numel() for t in tensors(saved))
    return f"{kept / layer.weight.numel():.2f}".rstrip("0").rstrip(".")


def line(name: str, cls: Any, old: dict[str, str]) -> dict[str, str]:
    """An optimizer's line."""
    path, needs = old.get("class", ""), old.get("needs", "")
    cls = locate(path, name) if path.startswith(OURS) else cls
    own = arguments(cls)
    lr = own.get("lr", "0.001" if "wraps" in needs else "")
    module = cls.__module__ if cls.__module__.startswith(("torch.", OURS)) else "pytorch_optimizer"
    return {column: old.get(column, "") for column in COLUMNS} | {
        "name": name,
        "class": f"{module}.{cls.__name__}",
        "lr": "" if lr == "None" else lr,
        "state": state(cls, needs),
        "arguments": " ".join(f"{key}={text}" for key, text in own.items()),
    }


def write(out: Path, names: Sequence[str]) -> None:
    """The table of these optimizers, from what the present one says."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        old = {row["name"]: row for row in csv.DictReader(file)}
    lines = [line(name, OPTIMIZERS[name], old.get(name, {})) for name in names]
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)


def main() -> None:
    """Writes the table anew."""
    options = parser(__doc__)
    options.add_argument("--out", type=Path, help=f"{TABLE} by default; of --quick none is kept")
    asked = options.parse_args()
    if asked.quick:
        with tempfile.TemporaryDirectory() as folder:
            write(asked.out or Path(folder, TABLE.name), list(OPTIMIZERS)[:4])
    else:
        write(asked.out or TABLE, list(OPTIMIZERS))


if __name__ == "__main__":
    start(main)
