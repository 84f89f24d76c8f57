"""A straight line over the run."""

from dataclasses import dataclass

from optbench.schedules.checks import require_number
from optbench.schedules.progress import progress


@dataclass(frozen=True)
class Linear:
    """Moves the learning rate along a straight line over the whole run.

    The multiplier at step t is

        m(t) = a + (r - a) min(t, T) / T

    where T is `total_steps`, a is `start_ratio` and r is `min_ratio`. It equals
    torch's `LinearLR(start_factor=a, end_factor=r, total_iters=T)`, which refuses a = 0.

    Args:
        min_ratio: r, the multiplier at the end, in [0, 1].
        start_ratio: a, the multiplier at step 0, in [0, 1]; below r the line rises.

    Raises:
        ValueError: if a field is out of its range.

    References:
        Defazio et al., When, Why and How Much? Adaptive Learning Rate Scheduling by
        Refinement, 2023, on linear decay. https://arxiv.org/abs/2310.07831
    """

    min_ratio: float = 0.0
    start_ratio: float = 1.0

    def __post_init__(self) -> None:
        require_number("min_ratio", self.min_ratio, 0, 1)
        require_number("start_ratio", self.start_ratio, 0, 1)

    def __call__(self, step: int, total_steps: int) -> float:
        done = progress(step, total_steps)
        return self.start_ratio * (1.0 - done) + self.min_ratio * done
