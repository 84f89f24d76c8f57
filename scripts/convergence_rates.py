"""The convergence rates of theory, measured by the trainer on functions where they are tight.

    python scripts/convergence_rates.py [--out docs/results/convergence-rates.md] [--quick]

Every run goes through the command line's own functions, with an evaluation after each step, and
every slope is the least-squares line that `optbench draw` fits. Exit code 1 if one is off, unless
it is --quick.
"""

from __future__ import annotations

import math
import platform
import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch

from common import parser, start, succeeded, train
from optbench.plots import png
from optbench.plots.rates import Fit, fit

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "convergence-rates.png"
RUN = "device=cpu batch_size=1 monitor.every=0 monitor.tensorboard=false checkpoint=none"
NESTEROV = "optimizer=nag 'momentum_schedule={schedule: nesterov, from: 0, to: 0.9999999999999999}'"
SMOOTH = "model=quadratic model.dim=1000 model.condition=1e6"
WORST = "model=nesterov_worst model.dim=1000"
CONDITIONS = (10, 100, 1000)
MOST_OFF = 0.02
COUNTS = (10, 30, 100, 300)
"""Steps of the lower bound."""


@dataclass(frozen=True)
class Sizes:
    """How much is run.

    Attributes:
        most: steps of a run, at most.
        conditions: of the quadratics.
        counts: of steps, for the lower bound.
    """

    most: float = math.inf
    conditions: tuple[int, ...] = CONDITIONS
    counts: tuple[int, ...] = COUNTS

    def steps(self, wanted: int) -> int:
        """Of a run."""
        return int(min(wanted, self.most))


QUICK = Sizes(most=16, conditions=(100,), counts=(3,))


@dataclass(frozen=True)
class Slope:
    """A run whose loss gap falls as a power of the step: over which steps, and the claim."""

    name: str
    line: str
    last: int
    slope: float
    within: float


SLOPES = (
    Slope("quadratic, gradient descent", f"{SMOOTH} optimizer=sgd optimizer.lr=1", 1000, -1, 0.05),
    Slope("quadratic, NAG", f"{SMOOTH} {NESTEROV} optimizer.lr=1", 1000, -2, 0.1),
    Slope("worst case, gradient descent", f"{WORST} optimizer=sgd optimizer.lr=1", 300, -0.5, 0.05),
    Slope("worst case, NAG", f"{WORST} {NESTEROV} optimizer.lr=1", 300, -1, 0.1),
)
FIRST = 10
"""The step from which slopes are fitted."""


def gaps_of(line: str, steps: int, work: Path) -> list[float]:
    """The loss gap after each step of `optbench train LINE`."""
    folder = work / f"{len(list(work.iterdir()))}"
    words = shlex.split(f"{RUN} {line} steps={steps}")
    (run,) = succeeded(train(*words, folder=folder))
    records = [r for r in run.records() if r["kind"] == "val"]
    assert [r["step"] for r in records] == list(range(1, steps + 1))
    return [r["val/loss_gap"] for r in records]


def fitted(gaps: list[float], first: int, power: bool) -> Fit:
    """The line through the gaps from step `first` on."""
    found = fit(range(1, len(gaps) + 1), gaps, first, len(gaps), power)
    assert found is not None
    return found


def verdict(fine: bool) -> str:
    """A mark for what is off."""
    return "" if fine else " **off**"


def slopes(work: Path, sizes: Sizes) -> tuple[list[str], png.Picture]:
    """Sublinear rates: a table, and the curves."""
    rows, series = [], {}
    for case in SLOPES:
        last = sizes.steps(case.last)
        gaps = gaps_of(case.line, last, work)
        found = fitted(gaps, FIRST, power=True).slope
        fine = verdict(abs(found - case.slope) <= case.within)
        row = [case.name, f"{FIRST} to {last}", f"{case.slope:g} ± {case.within:g}"]
        rows.append(f"| {' | '.join([*row, f'{found:.3f}{fine}'])} |")
        series[f"{case.name}: {found:.3f}"] = (list(range(1, last + 1)), gaps)
        print(rows[-1], flush=True)
    return rows, png.Picture(series, "slopes", "step", "loss gap", log_x=True, log_y=True)


def optimal(condition: float) -> dict[str, tuple[str, float, int]]:
    """The best settings on quadratics with eigenvalues from 1/condition to 1.

    By name: what to train with, the distance's factor a step that theory gives, and steps. Lessard,
    Recht, Packard, "Analysis and Design of Optimization Algorithms via Integral Quadratic
    Constraints", 2016, proposition 1.
    """
    least, root = 1 / condition, math.sqrt(condition)
    wide = math.sqrt(3 * condition + 1)
    lr, ball = 4 / (1 + math.sqrt(least)) ** 2, (root - 1) / (root + 1)
    return {
        "gradient descent": (
            f"optimizer=sgd optimizer.lr={2 / (1 + least)!r}",
            (condition - 1) / (condition + 1),
            round(20 * condition),
        ),
        "heavy ball": (
            f"optimizer=heavy_ball optimizer.lr={lr!r} optimizer.momentum={ball**2!r}",
            ball,
            round(100 * root),
        ),
        "Nesterov": (
            f"optimizer=nag optimizer.lr={4 / (3 + least)!r} "
            f"optimizer.momentum={(wide - 2) / (wide + 2)!r}",
            1 - 2 / wide,
            round(100 * root),
        ),
    }


def linear(work: Path, sizes: Sizes) -> tuple[list[str], png.Picture]:
    """Linear rates: a table, and the curves of condition 100."""
    rows, series = [], {}
    for condition in sizes.conditions:
        for name, (line, factor, wanted) in optimal(condition).items():
            steps = sizes.steps(wanted)
            model = f"model=quadratic model.dim=100 model.condition={condition}"
            gaps = gaps_of(f"{model} {line}", steps, work)
            found = math.sqrt(fitted(gaps, steps // 2, power=False).factor)
            off = math.log(found) / math.log(factor) - 1
            row = [f"{condition}", name, f"{steps // 2} to {steps}", f"{factor:.6f}"]
            row += [f"{found:.6f}", f"{100 * off:+.2f} %{verdict(abs(off) <= MOST_OFF)}"]
            rows.append(f"| {' | '.join(row)} |")
            if condition == 100:
                series[f"{name}: {found:.4f}"] = (list(range(1, steps + 1)), gaps)
            print(rows[-1], flush=True)
    title = "condition 100, optimal parameters"
    return rows, png.Picture(series, title, "step", "loss gap", log_y=True)


def bound(work: Path, sizes: Sizes) -> list[str]:
    """Another worst case for every number of steps: the lower bound's own setting."""
    rows = []
    for count in sizes.counts:
        dim = 2 * count + 1
        numbers = torch.arange(1, dim + 1, dtype=torch.float64) / (dim + 1)
        least = 3 * float((1 - numbers).square().sum()) / (32 * (count + 1) ** 2)
        model = f"model=nesterov_worst model.dim={dim} optimizer.lr=1"
        slow, fast = (
            gaps_of(f"{model} {line}", count, work)[-1] for line in ("optimizer=sgd", NESTEROV)
        )
        row = [f"{count}", f"{dim}", f"{least:.3e}", f"{slow / least:.2f}", f"{fast / least:.2f}"]
        rows.append(f"| {' | '.join(row)} |")
        print(rows[-1], flush=True)
    return rows


PAGE = """\
# Convergence rates, measured

`python scripts/convergence_rates.py`; Python {python}, torch {torch}, float64 on one thread of a
CPU. Each run is `optbench train` with an evaluation after every step; each slope a least-squares
line through all these steps, as `optbench draw --fit` fits it.

## Convex: powers of the step

Gradient descent with lr 1/L, and `nag` with lr 1/L and momentum (k - 1)/(k + 2), which is
`momentum_schedule={{schedule: nesterov, from: 0, to: 0.9999999999999999}}`. The quadratic has 1000
eigenvalues evenly spaced in their logarithm from 1e-6 to 1 and starts at distance 1 along every
eigenvector; Nesterov's worst-case function (2004, section 2.1.2) has 1000 dimensions and starts
at 0.

| function, method | steps | claim | fitted slope |
| --- | --- | --- | --- |
{slopes}

On the one worst-case function the slopes are half the guaranteed rates' -1 and -2. That is no
contradiction: the start is so far away (its squared distance is 334) that the guarantees lie far
above these gaps. Nesterov's lower bound takes another function for every number of steps T, of
2 T + 1 dimensions: no method of this kind gets below 3 L d^2 / (32 (T + 1)^2) on it in T steps, d
being the distance of the start. The gap after T steps on the function for T:

| steps T | dimensions | bound | gradient descent, times the bound | NAG, times the bound |
| --- | --- | --- | --- | --- |
{bound}

So it is by changing the function with T that NAG's 1/T^2 is seen to be the best possible up to a
constant, and gradient descent's gap over the bound to grow.

## Strongly convex: a factor a step

Quadratics of 100 dimensions with eigenvalues evenly spaced in their logarithm, each method with the
parameters that are optimal for the condition number (Lessard, Recht, Packard 2016, proposition 1).
The factor is of the distance to the minimum, the root of the loss gap's; off by how much is said of
its logarithm, to which the number of steps needed is inversely proportional. Claim: 2 %.

| condition | method | steps fitted | theory | measured | logarithm off by |
| --- | --- | --- | --- | --- | --- |
{linear}

With these parameters heavy ball and Nesterov's method have a double root at an end of the spectrum:
the distance falls as k times the factor to the k, which is what is left of the difference.

![Slopes, and linear rates at condition 100](../images/convergence-rates.png)
"""


def measure(out: Path | None, picture: Path, sizes: Sizes) -> bool:
    """Writes the page and its picture, if they are wanted; whether all is as claimed."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        power, left = slopes(work, sizes)
        factor, right = linear(work, sizes)
        constant = bound(work, sizes)
    page = PAGE.format(
        python=platform.python_version(),
        torch=torch.__version__.split("+")[0],
        slopes="\n".join(power),
        bound="\n".join(constant),
        linear="\n".join(factor),
    )
    if out:
        out.write_text(page, encoding="utf-8")
        png.save_sheet(picture, [left, right], columns=2, size=(5.6, 4.2), dpi=100)
        print(out, picture, sep="\n")
    return "**off**" not in page


def main() -> int:
    """The exit code."""
    options = parser(__doc__)
    options.add_argument("--out", type=Path, help="the page; its picture goes to docs/images")
    asked = options.parse_args()
    if asked.quick:
        with tempfile.TemporaryDirectory() as folder:
            measure(asked.out or Path(folder, "page.md"), Path(folder, "page.png"), QUICK)
        return 0
    return 0 if measure(asked.out, PICTURE, Sizes()) else 1


if __name__ == "__main__":
    start(main)
