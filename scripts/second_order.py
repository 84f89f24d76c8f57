"""Second-order optimizers where theory says how fast they are: orders of convergence, measured.

    python scripts/second_order.py [--out docs/results/second_order.md] [--quick]

Every run goes through the trainer, with an evaluation after each step. Exit code 1 if a claim does
not hold, unless it is --quick.
"""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch

from common import machine_line, parser, start, succeeded, train
from optbench import Callback
from optbench.plots import png

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "second-order.png"
RUN = ["device=cpu", "batch_size=1", "monitor.every=0", "monitor.tensorboard=false"]
RUN += ["checkpoint=none"]
FLOOR = 1e-12
"""Distances below this are rounding."""
TINY = 1e-17
"""What is shown of 0."""
SHOWN = 60
"""Steps in the left picture."""
START = "model=rosenbrock model.dim=4 model.start=[0.8,0.6,0.4,0.2]"


@dataclass(frozen=True)
class Method:
    """What is trained on Rosenbrock's function, and for how many steps."""

    name: str
    line: str
    steps: int
    orders: bool = False


METHODS = (
    Method("gradient descent", "optimizer=sgd optimizer.lr=1e-3", 40_000),
    Method("NAG", "optimizer=nag optimizer.lr=5e-4 optimizer.momentum=0.98", 2_000),
    Method("Newton", "optimizer=newton optimizer.damping=0", 20, orders=True),
    Method("BFGS", "optimizer=bfgs", 40),
    Method("SR1", "optimizer=sr1", 60),
    Method("L-BFGS", "optimizer=lbfgs_multibatch optimizer.line_search=strong_wolfe", 40),
)


@dataclass(frozen=True)
class Walk:
    """Distances from the minimum, at steps, and the passes that a step took."""

    steps: list[int]
    errors: list[float]
    passes: float

    def factor(self, above: float, below: float) -> float | None:
        """By which a step multiplies the distance, from where it is below one to another."""
        places = [
            next((k for k, e in enumerate(self.errors) if e < bound), None)
            for bound in (above, below)
        ]
        if None in places or places[0] == places[1]:
            return None
        first, last = (int(place or 0) for place in places)
        count = self.steps[last] - self.steps[first]
        return float((max(self.errors[last], TINY) / self.errors[first]) ** (1 / count))

    def orders(self) -> list[float]:
        """log(e_k+1 / e_k) / log(e_k / e_k-1) of the last steps before rounding."""
        logs = [math.log(error) for error in self.errors if error > FLOOR][-6:]
        falls = [b - a for a, b in pairwise(logs)]
        return [b / a for a, b in pairwise(falls) if a < 0]


def walked(line: str, steps: int, work: Path) -> Walk:
    """`optbench train LINE`, looked at up to a thousand times."""
    folder, every = work / f"{len(list(work.iterdir()))}", max(1, steps // 1000)
    words = [*RUN, *line.split(), f"steps={steps}", f"eval.every={every}"]
    result = train(*words, folder=folder)
    (run,) = succeeded(result)
    records = [r for r in run.records() if r["kind"] == "val"]
    errors = [r["val/distance"] for r in records]
    return Walk([r["step"] for r in records], errors, result.costs["passes"] / steps)


def rosenbrock(work: Path, quick: bool) -> tuple[list[str], list[png.Picture], bool]:
    """A row for each method, the curves, and whether Newton and BFGS are as fast as claimed."""
    rows, fine = [], True
    near: dict[str, tuple[list[int], list[float]]] = {}
    far: dict[str, tuple[list[int], list[float]]] = {}
    for method in METHODS:
        found = walked(f"{START} {method.line}", min(method.steps, 50 if quick else 10**9), work)
        shown = [max(error, TINY) for error in found.errors]
        far[method.name] = (found.steps, shown)
        count = sum(step <= SHOWN for step in found.steps) or 1
        near[method.name] = (found.steps[:count], shown[:count])
        pairs = zip(found.steps, found.errors, strict=True)
        to = next((f"{step:,}" for step, error in pairs if error <= 1e-8), "")
        early, late = found.factor(1e-1, 1e-4), found.factor(1e-4, 1e-10)
        orders = found.orders() if method.steps <= 100 else []
        row = [method.name, to or f"not in {found.steps[-1]:,}", f"{found.passes:.1f}"]
        row += [as_factor(each) for each in (early, late)]
        row.append(", ".join(f"{each:.2f}" for each in orders[-3:]) if method.orders else "")
        rows.append(f"| {' | '.join(row)} |")
        print(rows[-1], flush=True)
        if method.name == "Newton":
            fine = fine and min(orders[-2:], default=0) > 1.8
        if method.name == "BFGS":
            fine = fine and (late or 1) < 0.75 * (early or 0)
    pictures = [
        png.Picture(near, "the first steps", "step", "distance", log_y=True),
        png.Picture(far, "all steps", "step", "distance", log_x=True, log_y=True),
    ]
    return rows, pictures, fine


def as_factor(factor: float | None) -> str:
    """What a step multiplies the distance with, as a text."""
    if factor is None:
        return ""
    return f"{factor:.2g}" if factor < 0.95 else f"1 - {1 - factor:.1g}"


class Matrix(Callback):
    """Keeps the optimizer's matrix after each step."""

    def __init__(self) -> None:
        self.off: list[float] = []

    def on_step_end(self, trainer: object, step: int) -> None:
        """How far SR1's matrix is from the Hessian."""
        player = trainer.players[0]  # type: ignore[attr-defined]
        function = player.module
        vectors = function.eigenvectors
        hessian = vectors @ function.eigenvalues.diag() @ vectors.T
        matrix = player.optimizer.kept["matrix"]
        self.off.append(float(torch.dist(matrix, hessian) / hessian.norm()))


def quadratics(work: Path) -> tuple[list[str], bool]:
    """What ends after a known number of steps."""
    rows, fine = [], True
    random = "model=quadratic model.rotation=1"
    cases = [
        ("Newton, exact", f"{random} model.condition=1e4 optimizer=newton optimizer.damping=0", 1),
        (
            "Newton by conjugate gradients",
            f"{random} model.condition=1e2 optimizer=newton optimizer.damping=0 "
            "optimizer.solver=cg optimizer.cg_stop=residual optimizer.cg_tolerance=1e-14",
            1,
        ),
        (
            "BFGS, exact line searches",
            f"{random} model.dim=20 model.condition=10 optimizer=bfgs optimizer.line_search=exact",
            20,
        ),
    ]
    for name, line, steps in cases:
        errors = walked(line, steps, work).errors
        before = f"{errors[-2]:.1e}" if steps > 1 else ""
        good = errors[-1] < (1e-10 if steps == 1 else 1e-7)
        fine = fine and good
        rows.append(f"| {name} | {steps} | {before} | {errors[-1]:.1e} |")
        print(rows[-1], flush=True)
    looked = Matrix()
    numbers = ",".join(f"{0.2 * 1.3**k:.3f}" for k in range(10))
    line = f"{random} model.dim=10 model.eigenvalues=[{numbers}] optimizer=sr1 steps=10"
    succeeded(train(*RUN, *line.split(), folder=work / "sr1", callbacks=[looked]))
    fine = fine and looked.off[-1] < 1e-6
    rows.append(
        f"| SR1's matrix, from the Hessian | 10 | {looked.off[-2]:.1e} | {looked.off[-1]:.1e} |"
    )
    print(rows[-1], flush=True)
    return rows, fine


PAGE = """\
# Second order, measured

`python scripts/second_order.py`; {machine}.
Float64. Each run is `optbench train` with evaluations after its steps.

## Orders of convergence

Rosenbrock's function in four dimensions from (0.8, 0.6, 0.4, 0.2). e_k is the distance to the
minimum after step k. A linear method multiplies it by the same factor all the way; a superlinear
one's factor goes to 0; Newton's order of 2 doubles the digits at each step. The order is
log(e_k+1 / e_k) / log(e_k / e_k-1), of the last three steps before rounding (1e-12). Passes are
forward-backward passes a step, with line searches and products.

| method | steps to 1e-8 | passes a step | factor, 1e-1 to 1e-4 | factor, 1e-4 to 1e-10 | orders |
| --- | --- | --- | --- | --- | --- |
{rows}

![Distance by step](../images/second-order.png)

## What ends after a known number of steps

Quadratics with eigenvectors at random, of 100 dimensions unless the steps say otherwise. Distance
from the minimum before and after the last step; of SR1 its matrix's from the Hessian, relative.

| method | steps | before the last | after it |
| --- | --- | --- | --- |
{quadratics}

`tests/training/test_second_order.py` holds that the natural gradient does not depend on how a layer
is parametrized (outputs within 1e-8 under an affine change of a layer's inputs, where SGD's and
Adam's part by more than 0.1), and that Gauss-Newton and the natural gradient solve linear least
squares in one step (to 1e-10).
"""


def measure(out: Path | None, picture: Path, quick: bool) -> bool:
    """Writes the page and its picture, if they are wanted; whether all is as claimed."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        rows, pictures, fast = rosenbrock(work, quick)
        lines, exact = quadratics(work)
    page = PAGE.format(machine=machine_line(), rows="\n".join(rows), quadratics="\n".join(lines))
    if out:
        out.write_text(page, encoding="utf-8")
        png.save_sheet(picture, pictures, columns=2, size=(5.6, 4.2), dpi=90)
        print(out, picture, sep="\n")
    return fast and exact


def main() -> int:
    """The exit code."""
    options = parser(__doc__)
    options.add_argument("--out", type=Path, help="the page; its picture goes to docs/images")
    asked = options.parse_args()
    if asked.quick:
        with tempfile.TemporaryDirectory() as folder:
            measure(asked.out or Path(folder, "page.md"), Path(folder, "page.png"), quick=True)
        return 0
    return 0 if measure(asked.out, PICTURE, quick=False) else 1


if __name__ == "__main__":
    start(main)
