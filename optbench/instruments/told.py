"""What instruments of losses say in common: why not, and what to bear in mind."""

from __future__ import annotations

from optbench.errors import UserError
from optbench.instruments.look import Look, Split
from optbench.torch_internals import BatchNormBase


def no_loss(look: Look, split: Split = "train") -> str | None:
    """Return why there is no one loss as a function of the parameters; None where there is."""
    if len(look.players) > 1:
        names = " and ".join(look.players)
        return f"a run of {len(look.players)} players ({names}): neither's loss is its own alone"
    if look.trainer.state.task.carries:
        return "task.carry=true: examples in no order have no state to begin with"
    if not all(each.is_floating_point() for each in look.parameters):
        return "parameters that are not real numbers"
    try:
        look.size(split)
    except UserError as error:
        return str(error)
    return None


def of_how_many(look: Look, examples: int | None, split: Split = "train") -> str:
    """Return which examples a loss was of."""
    there = look.size(split)
    some = there if examples is None else min(examples, there)
    name = "training" if split == "train" else "validation"
    which = f"all {there}" if some == there else f"{some} of {there}"
    return f"the mean loss of {which} {name} examples, not augmented"


def has_batch_norm(look: Look) -> bool:
    """Return whether the module has a batch norm that keeps statistics."""
    parts = look.module.modules()
    return any(isinstance(part, BatchNormBase) and part.track_running_stats for part in parts)


def of_batch_norm(look: Look, step: int | None = None) -> list[str]:
    """Return what is to be said of batch norm where parameters are moved: nothing without it.

    Args:
        look: at the run.
        step: whose statistics it has; None is the point's.
    """
    if not has_batch_norm(look):
        return []
    since = look.step if step is None else step
    return [
        f"batch norm has its running statistics of step {since} everywhere, which are not those of "
        "the moved parameters"
    ]
