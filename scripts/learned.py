"""The learned optimizer against tuned Adam and SGD, on four tasks that it was not trained on.

    python scripts/learned.py --out docs/results/learned.md

Adam's and SGD's learning rates are tuned on a seed of their own, by the loss after as many steps as
meta-training's longest tasks have; the learned one is taken as it is. Then each trains with fresh
seeds, and, to see where the learned one fails, ten times longer. Wants FashionMNIST in
$OPTBENCH_DATA; without it that task is left out, and the page says so.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from common import machine_line, parser, start
from optbench.files import load_yaml
from optbench.optim.learned.learned import Learned
from optbench.optim.learned.weights import DEFAULT
from optbench.plots import png

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "images" / "learned.png"
TUNING_SEED, RATES, BATCH = 1000, 9, 64
Optimizers = dict[str, Callable[[list[nn.Parameter], float], torch.optim.Optimizer]]
BASELINES: Optimizers = {
    "Adam": lambda p, lr: torch.optim.Adam(p, lr=lr),
    "SGD, momentum 0.9": lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9),
}
LEARNED = "learned"
RANGES = {"Adam": (1e-4, 1.0), "SGD, momentum 0.9": (1e-4, 1.0)}


@dataclass(frozen=True)
class Sizes:
    """How long all takes.

    Attributes:
        steps: as meta-training's longest tasks.
        seeds: fresh ones.
        longer: how many times the steps, of the first `long_seeds`.
        images: of FashionMNIST.
    """

    steps: int = 300
    seeds: int = 5
    longer: int = 10
    long_seeds: int = 3
    images: int = 2000


QUICK = Sizes(steps=4, seeds=2, longer=2, long_seeds=1, images=100)


class Task:
    """A model and its loss, of a seed.

    Args:
        model: its parameters are trained.
        loss: of a step's examples, which it draws itself.
        whole: of all examples, or of a thousand.
    """

    def __init__(
        self, model: nn.Module, loss: Callable[[], Tensor], whole: Callable[[], Tensor]
    ) -> None:
        self.model, self.loss, self.whole = model, loss, whole


class Point(nn.Module):
    """Nothing but a point."""

    def __init__(self, begin: Tensor) -> None:
        super().__init__()
        self.x = nn.Parameter(begin)


def quadratic(seed: int) -> Task:
    """100 dimensions, condition 10,000: meta-training has up to 40, and 1,000."""
    generator = torch.Generator().manual_seed(seed)
    axes = torch.linalg.qr(torch.randn(100, 100, generator=generator)).Q
    values = torch.logspace(-4, 0, 100).unsqueeze(1)
    matrix = axes @ (values * axes.t())
    point = Point(torch.randn(100, generator=generator))

    def loss() -> Tensor:
        return torch.dot(point.x, matrix @ point.x) / 2

    return Task(point, loss, loss)


def of_images(model: nn.Module, images: Tensor, labels: Tensor, seed: int) -> Task:
    """Classification with batches of 64, drawn with replacement."""
    generator = torch.Generator().manual_seed(seed)

    def loss() -> Tensor:
        rows = torch.randint(len(images), (BATCH,), generator=generator)
        return cross_entropy(model(images[rows]), labels[rows])

    def whole() -> Tensor:
        return cross_entropy(model(images[:1000]), labels[:1000])

    return Task(model, loss, whole)


def digits() -> tuple[Tensor, Tensor]:
    """All training images, [n, 1, 8, 8]."""
    from optbench.data.digits import digits as opened

    source = opened(mean=[0.3], std=[0.38]).open("train", torch.device("cpu"))
    ((images, labels),) = source.stream(torch.arange(len(source)), [(0, len(source))])
    return images, labels


def fashion(count: int) -> tuple[Tensor, Tensor] | None:
    """The first training images, None where there are none."""
    from optbench import compose
    from optbench.assemble.data import dataset
    from optbench.errors import UserError

    try:
        data = dataset(compose("dataset=fashion_mnist", "dataset.download=false").config)
        source = data.open("train", torch.device("cpu"))
        ((images, labels),) = source.stream(torch.arange(count), [(0, count)])
    except UserError:
        return None
    return images, labels


def digits_mlp(seed: int) -> Task:
    """64-100-100-10: the data is meta-training's, the width twice its widest."""
    images, labels = digits()
    torch.manual_seed(seed)
    layers = [nn.Linear(64, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, 10)]
    return of_images(nn.Sequential(*layers), images.flatten(1), labels, seed)


def digits_cnn(seed: int) -> Task:
    """Two convolutions and batch norm, of which meta-training had none."""
    images, labels = digits()
    torch.manual_seed(seed)
    body = [nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()]
    body += [nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU()]
    return of_images(nn.Sequential(*body, nn.Flatten(), nn.Linear(256, 10)), images, labels, seed)


def fashion_mlp(data: tuple[Tensor, Tensor]) -> Callable[[int], Task]:
    """784-32-32-10."""

    def made(seed: int) -> Task:
        torch.manual_seed(seed)
        layers = [nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 10)]
        return of_images(nn.Sequential(*layers), data[0].flatten(1), data[1], seed)

    return made


def marks(steps: int) -> list[int]:
    """Steps at which the loss is measured, evenly in their logarithm, the last among them."""
    return sorted({round(steps ** (i / 24)) for i in range(25)} | {0})


def trained(task: Task, optimizer: torch.optim.Optimizer, measured: list[int]) -> list[float]:
    """The whole loss after each of these steps; infinite from where it is no number."""
    found = []
    for step in range(measured[-1] + 1):
        if step in measured:
            with torch.no_grad():
                value = float(task.whole())
            found.append(value if math.isfinite(value) else math.inf)
        optimizer.zero_grad()
        task.loss().backward()
        optimizer.step()
    return found


def tuned(name: str, make: Callable[[int], Task], steps: int) -> float:
    """The learning rate with the least loss at the end, of 9 half decades."""
    low, high = RANGES[name]
    rates = [low * (high / low) ** (i / (RATES - 1)) for i in range(RATES)]
    ends = []
    for rate in rates:
        task = make(TUNING_SEED)
        optimizer = BASELINES[name]([*task.model.parameters()], rate)
        end = trained(task, optimizer, [steps - 1, steps])
        ends.append(end[-1])
    return float(rates[ends.index(min(ends))])


@dataclass
class Result:
    """Of an optimizer on a task.

    Attributes:
        curves: a list of losses for each seed, at `steps`, of some seeds at the first of them only.
        rate: the learning rate.
        seconds: of a step.
    """

    steps: list[int]
    curves: list[list[float]]
    rate: float
    seconds: float

    def after(self, step: int) -> list[float]:
        """The losses of those that came so far."""
        index = self.steps.index(step)
        return [curve[index] for curve in self.curves if len(curve) > index]

    def mean(self, step: int) -> str:
        """Mean and standard deviation after a step, in words."""
        values = self.after(step)
        lost = sum(not math.isfinite(v) for v in values)
        if lost:
            return f"{lost} of {len(values)} diverged"
        mean = sum(values) / len(values)
        spread = (sum((v - mean) ** 2 for v in values) / max(1, len(values) - 1)) ** 0.5
        return f"{mean:.2g} ± {spread:.1g}"

    def line(self) -> tuple[list[float], list[float]]:
        """The geometric mean over seeds, for the picture; where all are finite."""
        xs, ys = [], []
        for step in self.steps:
            values = [c[self.steps.index(step)] for c in self.curves if len(c) == len(self.steps)]
            if step and all(math.isfinite(v) and v > 0 for v in values):
                xs.append(float(step))
                ys.append(math.exp(sum(map(math.log, values)) / len(values)))
        return xs, ys


def compared(make: Callable[[int], Task], sizes: Sizes) -> dict[str, Result]:
    """Each optimizer on a task."""
    steps = sorted({*marks(sizes.steps * sizes.longer), sizes.steps})
    found = {}
    for name in (LEARNED, *BASELINES):
        rate = 1.0 if name == LEARNED else tuned(name, make, sizes.steps)
        began, curves, taken = time.perf_counter(), [], 0
        for seed in range(sizes.seeds):
            all_of_it = seed < sizes.long_seeds
            own = steps if all_of_it else steps[: steps.index(sizes.steps) + 1]
            task = make(seed)
            weights = [*task.model.parameters()]
            optimizer = (
                Learned(weights, lr=rate) if name == LEARNED else BASELINES[name](weights, rate)
            )
            curves.append(trained(task, optimizer, own))
            taken += own[-1]
        found[name] = Result(steps, curves, rate, (time.perf_counter() - began) / taken)
        print(name, f"lr {rate:.3g}:", found[name].mean(sizes.steps), "then", end=" ")
        last = found[name].mean(sizes.steps * sizes.longer)
        print(f"{last}, {1000 * found[name].seconds:.1f} ms", flush=True)
    return found


PAGE = """# A learned optimizer, measured

`python scripts/learned.py --out docs/results/learned.md`; {machine}; float32.

`optimizer=learned` with the weights that come with optbench, meta-trained by us ({recipe}); the
recipe is `optbench/optim/learned/default.yaml`. It is taken as it is, at lr 1. Adam and SGD with
momentum 0.9 have the best of {rates} learning rates from 1e-4 to 1, tuned on a seed of their own by
the loss after {steps} steps. Each then has {seeds} fresh seeds; the losses are
those of (up to 1,000 of) the training examples, mean and standard deviation over the seeds.

{steps} steps is what the longest of meta-training's tasks had; {longer} is ten times that, with the
same learning rates and {long_seeds} of the seeds, whose curves the picture has. No schedule: the
learned rule sees the number of the step, the others have one rate throughout.

{table}

Milliseconds a step are of this busy machine, and only to be compared with each other.

{words}

![Loss over steps](../images/learned.png)
"""


def rows(results: dict[str, dict[str, Result]], sizes: Sizes) -> str:
    """The table."""
    end = sizes.steps * sizes.longer
    lines = [
        f"| task | optimizer | lr | loss, {sizes.steps} steps | loss, {end} steps | ms a step |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for task, by in results.items():
        for name, each in by.items():
            lines.append(
                f"| {task} | {name} | {each.rate:.2g} | {each.mean(sizes.steps)} | "
                f"{each.mean(end)} | {1000 * each.seconds:.1f} |"
            )
    return "\n".join(lines)


def verdicts(results: dict[str, dict[str, Result]], sizes: Sizes) -> str:
    """How often the learned one is better than each, and what is at an edge, in sentences."""
    edges = [
        f"{name}'s on {task}"
        for task, by in results.items()
        for name in BASELINES
        if by[name].rate in RANGES[name]
    ]
    said = [f"At an end of its range, so perhaps not its best: {', '.join(edges)}."] * bool(edges)
    for end, words, count in (
        (sizes.steps, "as long as it was trained for", sizes.seeds),
        (sizes.steps * sizes.longer, "ten times longer", sizes.long_seeds),
    ):
        for other in BASELINES:
            won = []
            for task, by in results.items():
                pairs = zip(by[LEARNED].after(end), by[other].after(end), strict=True)
                won.append(f"{task} {sum(a < b for a, b in pairs)}")
            said.append(
                f"Seeds, of {count}, on which the learned one's loss is below {other}'s, "
                f"{words}: {'; '.join(won)}."
            )
    return "\n\n".join(said)


def measure(out: Path | None, picture: Path, sizes: Sizes) -> None:
    """Writes the page and its picture, if they are wanted."""
    torch.set_num_threads(1)
    tasks: dict[str, Callable[[int], Task]] = {
        "quadratic, 100-D": quadratic,
        "digits, MLP": digits_mlp,
        "digits, CNN": digits_cnn,
    }
    images = fashion(sizes.images)
    if images is not None:
        tasks[f"FashionMNIST ({sizes.images:,} images), MLP"] = fashion_mlp(images)
    results = {}
    for name, make in tasks.items():
        print(name)
        results[name] = compared(make, sizes)
    recipe = load_yaml(DEFAULT.with_suffix(".yaml"))
    words = verdicts(results, sizes)
    if images is None:
        words += "\n\nCut: FashionMNIST, which was not there."
    page = PAGE.format(
        machine=machine_line(),
        recipe=f"{recipe['architecture']}, {recipe['gradient']}, {recipe['until']} meta-steps",
        rates=RATES,
        steps=sizes.steps,
        longer=sizes.steps * sizes.longer,
        seeds=sizes.seeds,
        long_seeds=sizes.long_seeds,
        table=rows(results, sizes),
        words=words,
    )
    if out:
        out.write_text(page, encoding="utf-8")
        drawn = [
            png.Picture(
                {n: each.line() for n, each in by.items()},
                task,
                "step",
                "loss",
                log_x=True,
                log_y=True,
                markers={"meta-trained to here": float(sizes.steps)},
            )
            for task, by in results.items()
        ]
        png.save_sheet(picture, drawn, columns=2, size=(5.0, 3.6), dpi=90)
        print(out, picture, sep="\n")


def main() -> int:
    """The exit code."""
    options = parser(__doc__)
    options.add_argument("--out", type=Path, help="the page; its picture goes to docs/images")
    asked = options.parse_args()
    if asked.quick:
        with tempfile.TemporaryDirectory() as folder:
            measure(asked.out or Path(folder, "page.md"), Path(folder, "page.png"), QUICK)
        return 0
    measure(asked.out, PICTURE, Sizes())
    return 0


if __name__ == "__main__":
    start(main)
