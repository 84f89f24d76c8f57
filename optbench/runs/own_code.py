"""Modules of the user's own."""

from __future__ import annotations

import os
import sys

from optbench.errors import UserError


def import_from_here() -> None:
    """Let a `_target_` name a module in the folder that the program is called in.

    Raises:
        UserError: the folder was removed.
    """
    try:
        here = os.getcwd()
    except FileNotFoundError:
        raise UserError("the folder it is called in was removed: cd to another") from None
    if here not in sys.path:
        sys.path.append(here)
