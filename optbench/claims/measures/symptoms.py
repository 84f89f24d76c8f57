"""Which shapes the doctor sees in the runs of each part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from optbench.api_diagnosis import doctor
from optbench.claims.found import Found
from optbench.claims.measured import Measured
from optbench.plots.png import Picture


def measure(
    found: Found, shapes: Mapping[str, Sequence[str]], metric: str = "train/loss"
) -> Measured:
    """Return of each part and shape 1 where a run has one of its symptoms, else 0.

    Args:
        shapes: by name, the doctor's symptoms that make it.
        metric: that is drawn, of each part's first seed.
    """
    values: dict[str, dict[int, float | None]] = {}
    curves = {}
    for part, runs in found.groups():
        for name in shapes:
            values[f"{part} {name}"] = {}
        for seed, ran in runs.items():
            (diagnosis,) = doctor(ran.run.path)
            seen = {each.name for each in diagnosis.symptoms}
            for name, symptoms in shapes.items():
                values[f"{part} {name}"][seed] = float(bool(seen & set(symptoms)))
        curves[part] = next(iter(runs.values())).series(metric)
    picture = Picture(curves, title=f"{metric}, first seed", x_label="step", log_y=True)
    return Measured(values, [picture])
