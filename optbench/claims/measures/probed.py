"""A value of an instrument of `probe`."""

from __future__ import annotations

from fnmatch import fnmatchcase

from optbench.claims.found import Found
from optbench.claims.measured import Measured
from optbench.config.suggest import did_you_mean
from optbench.errors import UserError


def measure(found: Found, part: str, value: str) -> Measured:
    """Return the value at the last step that was probed, of each of the runs' settings.

    Args:
        part: the probe; `*` stands for any letters.
        value: its name, such as `hessian/largest`.
    """
    probes = {name: found.others[name] for name in found.others if fnmatchcase(name, part)}
    if not probes:
        raise UserError(f"measure: {part}: no such probe; {did_you_mean(part, found.others)}")
    values: dict[str, dict[int, float | None]] = {}
    for name, each in [(label, one) for label, all_of in probes.items() for one in all_of]:
        by_step = each["values"].get(value)
        if by_step is None:
            raise UserError(
                f"measure: {value}: not measured; {did_you_mean(value, each['values'])}"
            )
        last = by_step[max(by_step, key=int)]
        values.setdefault(" ".join(filter(None, [name, each["label"]])), {})[each["seed"]] = last
    return Measured(values)
