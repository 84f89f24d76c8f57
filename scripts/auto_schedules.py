"""Do the automatic schedules mend a learning rate that is 30 times too small or too large?

Trains a data set with SGD from a usual learning rate and from one that is wrong by a factor, with
each schedule and with several seeds, and prints the final validation loss and accuracy: mean and
sample standard deviation over the seeds.

    python scripts/auto_schedules.py [--factor 30] [--seeds 5] [--out TABLE.md]
        [--quick] [overrides of train]
"""

from __future__ import annotations

import math
import statistics
import tempfile
from pathlib import Path

from common import parser, start, train

SCHEDULES = ("constant", "hypergradient", "auto_grad_norm", "auto_loss")
COMMON = ["optimizer=sgd", "eval.every=0", "checkpoint=none", "monitor.tensorboard=false"]
COMMON += ["monitor.every=1", "monitor.per_parameter=false", "nonfinite=skip", "threads=1"]


def trained(overrides: list[str]) -> tuple[float, float, float]:
    """Final validation loss and accuracy, and the last learning rate; inf and 0 if it diverged."""
    with tempfile.TemporaryDirectory() as folder:
        final = train(*overrides, folder=Path(folder, "run")).metrics
    loss, accuracy = final.get("val/loss", math.inf), final.get("val/accuracy", 0.0)
    return (loss if math.isfinite(loss) else math.inf), accuracy, final.get("lr/model", math.nan)


def spread(values: list[float], digits: int) -> str:
    """Mean and standard deviation."""
    if not all(map(math.isfinite, values)):
        return f"diverged {sum(not math.isfinite(v) for v in values)}/{len(values)}"
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.fmean(values):.{digits}f} ± {deviation:.{digits}f}"


def main() -> None:
    """Prints the table row by row."""
    options = parser(__doc__)
    options.add_argument("--lr", type=float, default=0.1, help="the usual learning rate")
    options.add_argument("--factor", type=float, default=30.0, help="how wrong it is made")
    options.add_argument("--seeds", type=int, default=5)
    options.add_argument("--schedules", default=",".join(SCHEDULES))
    options.add_argument("--out", type=Path, help="write the table here too")
    flags, overrides = options.parse_known_args()
    if flags.quick:
        flags.seeds, overrides = 1, ["dataset=digits", "steps=3", *overrides]
    lines = ["| lr | schedule | val loss | val accuracy, % | last lr |", "| --- " * 5 + "|"]
    print("\n".join(lines), flush=True)
    for label, factor in (
        ("usual", 1.0),
        (f"{flags.factor:g} x too small", 1 / flags.factor),
        (f"{flags.factor:g} x too large", flags.factor),
    ):
        for schedule in flags.schedules.split(","):
            said = [*COMMON, f"schedule={schedule}", f"optimizer.lr={flags.lr * factor!r}"]
            ends = [trained([*said, f"seed={seed}", *overrides]) for seed in range(flags.seeds)]
            losses, accuracies, rates = (list(column) for column in zip(*ends, strict=True))
            cells = (
                f"{label}, {flags.lr * factor:.3g}",
                schedule,
                spread(losses, 3),
                spread([100 * a for a in accuracies], 1),
                f"{statistics.median(rates):.2g}",
            )
            lines.append("| " + " | ".join(cells) + " |")
            print(lines[-1], flush=True)
    if flags.out:
        flags.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    start(main)
