"""How much of the run is done."""

from optbench.schedules.checks import require_steps


def progress(step: int, total_steps: int) -> float:
    """Return t / T in [0, 1], where t is `step` and T is `total_steps`; 1 after the end.

    Raises:
        ValueError: if `total_steps` is less than 1.
    """
    require_steps("total_steps", total_steps)
    return min(step / total_steps, 1.0)
