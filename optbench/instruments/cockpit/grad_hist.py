"""Histograms of single examples' gradient entries, and of these against the parameters.

Cockpit's bins are even from -2 to 2, where most entries of a trained network are in one. Ours are
even in the logarithm of the size, and count the zeros apart.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from optbench.instruments.base import Measurement, Progress, unwatched
from optbench.instruments.look import Look, Mode
from optbench.instruments.per_example import chosen, each_chunk, said, statistics, why_not

LOW, HIGH, A_DECADE = -12, 4, 4
"""Decades of the bins, and bins in each; what is beyond is in the last ones."""

BINS = (HIGH - LOW) * A_DECADE
ROWS = 40
"""Bins of parameters, even between the least and the greatest."""

SHARES = {"p05": 0.05, "p50": 0.5, "p95": 0.95}


def bins(gradients: Tensor) -> Tensor:
    """Return each entry's bin: 0 for zero, 1 to BINS by size."""
    sizes = gradients.abs()
    found = ((sizes.log10() - LOW) * A_DECADE).floor().clamp(0, BINS - 1).long() + 1
    return torch.where(sizes > 0, found, 0)


def edge(number: int) -> float:
    """Return the lower edge of a bin above 0."""
    return float(10 ** (LOW + (number - 1) / A_DECADE))


class GradHist1d:
    """Sizes of the entries of single examples' gradients, zeros apart.

    Args:
        examples: so many, evenly over the training set; None: the next step's.
        mode: of the modules.
    """

    name = "grad_hist_1d"
    what = "histogram of the entries of single examples' gradients"

    def __init__(self, examples: int | None = None, mode: Mode = "eval") -> None:
        self._examples, self._mode = examples, mode

    def lacking(self, look: Look) -> str | None:
        """Return why single examples have no gradients here."""
        return why_not(look, self._mode)

    def measure(self, look: Look, progress: Progress = unwatched) -> Measurement:
        """Measure."""
        counts = torch.zeros(BINS + 1, dtype=torch.int64)

        def see(losses: Tensor, gradients: list[Tensor]) -> None:
            for each in gradients:
                counts.add_(torch.bincount(bins(each).flatten(), minlength=BINS + 1).cpu())

        work = chosen(look, self._examples)
        each_chunk(look, work, see, self._mode)
        values = {f"{self.name}/zeros": float(counts[0] / counts.sum())}
        rest = counts[1:].cumsum(0)
        for name, share in SHARES.items():
            if rest[-1]:
                number = int((rest < share * rest[-1]).sum()) + 1
                values[f"{self.name}/{name}"] = edge(number) * 10 ** (0.5 / A_DECADE)
        table = {"zeros": int(counts[0]), "counts": counts[1:].tolist()}
        table["edges"] = [edge(number) for number in range(1, BINS + 2)]
        return Measurement(
            values,
            {self.name: table},
            [said(look, self._examples, work.examples)],
            {self.name: partial(_draw, table)},
        )


class GradHist2d(GradHist1d):
    """The same against the parameters, with how far large ones have large gradients.

    That is the correlation of a parameter's size with the root mean square of its gradient.
    """

    name = "grad_hist_2d"
    what = "histogram of single examples' gradient entries against the parameters"

    def measure(self, look: Look, progress: Progress = unwatched) -> Measurement:
        """Measure."""
        parameters = [p.detach() for p in look.parameters]
        low = min(float(p.min()) for p in parameters)
        high = max(float(p.max()) for p in parameters)
        width = (high - low) / ROWS or 1.0
        rows = [((p - low) / width).long().clamp(0, ROWS - 1) * (BINS + 1) for p in parameters]
        counts = torch.zeros(ROWS * (BINS + 1), dtype=torch.int64)

        def see(losses: Tensor, gradients: list[Tensor]) -> None:
            for row, each in zip(rows, gradients, strict=True):
                places = (bins(each) + row).flatten()
                counts.add_(torch.bincount(places, minlength=len(counts)).cpu())

        work = chosen(look, self._examples)
        each_chunk(look, work, see, self._mode)
        found = statistics(look, self._examples, self._mode)
        sizes = torch.cat([p.flatten().abs().double() for p in parameters])
        slopes = torch.cat([s.flatten().double().sqrt() for s in found.squares])
        together = float(torch.corrcoef(torch.stack([sizes, slopes]))[0, 1])
        table = {
            "counts": counts.view(ROWS, BINS + 1).tolist(),
            "gradient_edges": [edge(number) for number in range(1, BINS + 2)],
            "parameter_edges": [low + width * row for row in range(ROWS + 1)],
        }
        return Measurement(
            {f"{self.name}/correlation": together},
            {self.name: table},
            [said(look, self._examples, work.examples)],
            {self.name: partial(_draw_both, table)},
        )


def _draw(table: dict[str, Any], axes: Any) -> None:
    axes.stairs(table["counts"], table["edges"], fill=True)
    axes.set(xscale="log", yscale="log", xlabel="size of an entry", ylabel="entries")
    axes.set_title(f"{table['zeros']} entries are 0", fontsize="small")


def _draw_both(table: dict[str, Any], axes: Any) -> None:
    counts = torch.tensor(table["counts"])[:, 1:].double().log1p()
    axes.pcolormesh(table["gradient_edges"], table["parameter_edges"], counts.numpy())
    axes.set(xscale="log", xlabel="size of a gradient's entry", ylabel="parameter")
