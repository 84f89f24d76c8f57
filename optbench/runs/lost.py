"""Steps of a run that nothing is left of."""

from __future__ import annotations

from optbench.console import shown
from optbench.errors import UserError
from optbench.rundir import DONE, RunDir


def refuse_lost(folder: RunDir, anew: bool) -> None:
    """Refuse to begin a run at its first step where its folder says that steps were taken.

    Args:
        folder: of a run without any checkpoint.
        anew: it keeps none, and is to be done whatever was: it begins anew where it was stopped.

    Raises:
        UserError: steps were taken that nothing is left of but their records.
    """
    status = folder.read_status()
    state, step = status.get("state"), status.get("checkpoint", status.get("step"))
    if anew and state == "preempted" and "checkpoint" not in status:
        return
    records = next(folder.read_metrics(), None) is not None
    none = not status and (records or bool(folder.read_summary()))
    taken = (*DONE, "preempted", "running")  # one that failed may have had no time for any
    if "checkpoint" in status or (state in taken and step) or state in DONE or none:
        steps = f"{step} steps were taken" if step else "steps were taken"
        never = "checkpoint" not in status and "format" in status
        what = "no checkpoint was kept" if never else "no checkpoint is there"
        mend = "" if never else "put checkpoints/ back, or "
        raise UserError(f"{shown(folder.path)}: {steps}, and {what}; {mend}start a new run")
