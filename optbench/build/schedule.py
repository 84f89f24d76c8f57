"""A schedule from its node: lengths to steps, warmup before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optbench.build.create import create
from optbench.config.fields import LENGTHS
from optbench.config.lengths import Length
from optbench.errors import UserError
from optbench.schedules.base import Schedule
from optbench.schedules.warmup import Warmup

WARMUP = ("warmup_steps", "warmup", "warmup_start")


def build_schedule(node: Mapping[str, Any], steps_per_epoch: int, total_steps: int) -> Schedule:
    """The schedule of a node.

    Args:
        node: the config's `schedule`.
        steps_per_epoch, total_steps: what its lengths are measured with.

    Raises:
        UserError: a schedule refuses its arguments, or the warmup is longer than the run.
    """

    def steps(value: Any) -> Any:
        if isinstance(value, list):
            return [steps(item) for item in value]
        return None if value is None else Length.parse(value).steps(steps_per_epoch, total_steps)

    own = {k: steps(v) if k in LENGTHS else v for k, v in node.items() if k not in WARMUP}
    schedule: Schedule = create(own, "schedule")
    warmup = steps(node["warmup_steps"])
    if warmup > total_steps:
        raise UserError(
            f"schedule.warmup_steps={node['warmup_steps']}: {warmup} steps, "
            f"longer than the run of {total_steps}"
        )
    if not warmup:
        return schedule
    return Warmup(schedule, warmup, node["warmup"], node["warmup_start"])
