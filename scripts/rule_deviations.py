"""How far each of our rules is from its transcription, at most: what the tests check, in numbers.

Relative distance of 50 steps' paths in float64, over all problems and settings of
`tests/optim/rules.py`; and between the implementations, compiled with `--compiled`.

Usage: python scripts/rule_deviations.py [--compiled] [--quick]
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import torch
from rich.console import Console
from rich.table import Table

from common import parser, start
from optbench.optim.engine import compiled
from tests.optim import rules


def deviation(one: torch.Tensor, other: torch.Tensor) -> float:
    """Relative, of whole paths."""
    return float(torch.dist(one, other) / other.norm())


def main() -> None:
    """A row for each rule."""
    options = parser(__doc__)
    options.add_argument("--compiled", action="store_true", help="a minute or two more")
    asked = options.parse_args()
    names = list(rules.ROWS)[:2] if asked.quick else list(rules.ROWS)
    torch.set_num_threads(1)
    compiled.SMALL = 0  # small as they are, these tensors are to be compiled
    implementations = ["loop", *(["compiled"] if asked.compiled else [])]
    table = Table(
        "rule", "paths", "from the transcription", *[f"{i} to foreach" for i in implementations]
    )
    for name in names:
        row = rules.ROWS[name]
        worst = dict.fromkeys(["reference", *implementations], 0.0)
        paths = 0
        for changes in ({}, rules.DECAYED, *row.variants):
            for problem in rules.PROBLEMS.values():
                found = {
                    how: rules.path(rules.ours(name, weights, how, **changes), weights, loss)
                    for how in ("foreach", *implementations)
                    for weights, loss in [problem(torch.float64)]
                }
                expected = rules.slow_path(name, problem, **changes)
                paths += 1
                worst["reference"] = max(worst["reference"], deviation(found["foreach"], expected))
                for how in implementations:
                    worst[how] = max(worst[how], deviation(found[how], found["foreach"]))
        table.add_row(name, str(paths), *[f"{value:.1e}" for value in worst.values()])
    Console(width=100).print(table)


if __name__ == "__main__":
    start(main)
