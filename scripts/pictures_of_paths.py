"""Draws the paths of six optimizers on Rosenbrock and Beale: docs/images/paths.png.

Each optimizer runs with every learning rate of a grid, as a sweep; drawn is
the one with the least loss gap at the end.

    python scripts/pictures_of_paths.py [--out FILE.png] [--quick]
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from common import parser, start, sweep
from optbench.plots import contour
from optbench.runs.function_pictures import paths
from optbench.runs.function_runs import FunctionRun, named, read_all

OUT = Path(__file__).parents[1] / "docs" / "images" / "paths.png"
STEEP = "5e-4,1e-3,2e-3,5e-3,1e-2,2e-2,5e-2"
SCALED = "5e-3,1e-2,2e-2,5e-2,0.1"
OPTIMIZERS = {
    **{"sgd": STEEP, "momentum": STEEP, "nag": STEEP},
    **{"adagrad": "0.1,0.2,0.5,1", "rmsprop": SCALED, "adam": SCALED},
}
"""With their grids: steps of the scaled ones are about as long as lr."""
FUNCTIONS = {"rosenbrock": 500, "beale": 200}
"""With the steps."""
QUICK = {"sgd": "1e-3,1e3", "adam": "0.1"}
"""As OPTIMIZERS; one of the learning rates diverges."""
RUN = "device=cpu monitor.every=0 monitor.tensorboard=false checkpoint=none batch_size=1"


def best(function: str, steps: int, optimizer: str, rates: str, folder: Path) -> FunctionRun:
    """The run with the least gap at its end."""
    line = f"{RUN} model={function} steps={steps} optimizer={optimizer} optimizer.lr={rates}"
    sweep(*line.split(), folder=folder)  # some of the learning rates are too large

    def end(run: FunctionRun) -> float:
        whole = run.steps[-1] == steps and math.isfinite(run.gaps[-1])
        return run.gaps[-1] if whole else math.inf

    return min(read_all([str(run) for run in evaluated(folder)]), key=end)


def evaluated(folder: Path) -> list[Path]:
    """The runs of a sweep that got as far as an evaluation."""
    metrics = sorted(folder.glob("*/metrics.jsonl"))
    return [path.parent for path in metrics if "val/loss_gap" in path.read_text(encoding="utf-8")]


def draw(out: Path, grids: Mapping[str, str], functions: Mapping[str, int]) -> None:
    """All of it.

    Args:
        out: the picture.
        grids: the optimizers, with the learning rates tried.
        functions: with the steps.
    """
    panels = []
    with tempfile.TemporaryDirectory() as work:
        for function, steps in functions.items():
            runs = [
                best(function, steps, name, rates, Path(work) / f"{function}-{name}")
                for name, rates in grids.items()
            ]
            for name, run in zip(named(runs), runs, strict=True):
                print(f"{function}: {name}, gap {run.gaps[-1]:.3g} after {steps} steps", flush=True)
            panels.append(paths(runs, named(runs)))
    contour.save(out, panels)
    with Image.open(out) as picture:
        small = picture.convert("RGB").quantize(256)
    small.save(out, optimize=True)
    print(out)


def main() -> None:
    """Draws them."""
    options = parser(__doc__)
    options.add_argument("--out", type=Path, help=f"{OUT} by default; a --quick one is thrown away")
    asked = options.parse_args()
    if asked.quick:
        with tempfile.TemporaryDirectory() as folder:
            draw(asked.out or Path(folder, "paths.png"), QUICK, dict.fromkeys(FUNCTIONS, 5))
    else:
        draw(asked.out or OUT, OPTIMIZERS, FUNCTIONS)


if __name__ == "__main__":
    start(main)
