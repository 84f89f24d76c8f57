"""The least that takes a first step on digits: torch, the data, a network, AdamW.

Usage: python scripts/bench/first_step_bare.py [--quick]
"""

from __future__ import annotations

import gzip
import importlib.util
import os
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn


def main() -> None:
    """Takes it."""
    spec = importlib.util.find_spec("sklearn")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("needs scikit-learn")
    path = Path(spec.submodule_search_locations[0], "datasets", "data", "digits.csv.gz")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        table = np.loadtxt(file, delimiter=",")
    images = torch.from_numpy((table[:, :-1] / 16).astype(np.float32))
    labels = torch.from_numpy(table[:, -1].astype(np.int64))
    model = nn.Sequential(nn.Linear(64, 100), nn.ReLU(), nn.Linear(100, 10))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    picked = torch.randperm(len(labels))[:64]
    nn.functional.cross_entropy(model(images[picked]), labels[picked]).backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    os._exit(0)


if __name__ == "__main__":
    if not sys.argv[1:]:
        main()  # without what a command line costs, for this is measured
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from common import parser, start

    parser(__doc__).parse_args()
    start(main)
