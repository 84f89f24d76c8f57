"""How an error is shown: one line, and the traceback where it is the user's to read."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from pathlib import Path

from optbench.console import print_error
from optbench.errors import OwnCodeError, UserError

ALWAYS = "OPTBENCH_TRACEBACK"
"""Set in the environment to anything but 0, it shows the traceback of every error."""


def show(error: UserError, before: str = "") -> None:
    """Print the line, after the traceback of code of the user's own, or of any if they ask for it.

    Args:
        error: what to show.
        before: what the line begins with.
    """
    if os.environ.get(ALWAYS, "0") not in ("", "0"):
        print_error("".join(traceback.format_exception(error)).rstrip("\n"), lines=True)
    elif isinstance(error, OwnCodeError) and error.__cause__ is not None:
        print_error(own_part(error.__cause__), lines=True)
    print_error(f"{before}optbench: {error}")


def own_part(error: BaseException) -> str:
    """Return an exception's traceback without the steps of ours that led to the user's code."""
    told = traceback.TracebackException.from_exception(error)
    packages = [importlib, *map(sys.modules.get, ("optbench", "torch"))]
    between = tuple(f"{Path(str(p.__file__)).parent}{os.sep}" for p in packages if p is not None)
    frames = list(told.stack)
    while frames and frames[0].filename.startswith((*between, "<frozen")):
        del frames[0]
    told.stack = traceback.StackSummary.from_list(frames)
    return "".join(told.format()).rstrip("\n")
