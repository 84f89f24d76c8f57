"""What torchrun says of this process: how many ranks there are, and which of them it is.

Without it there is one. The variables are read here and nowhere else, before torch is loaded.
"""

from __future__ import annotations

import os

from optbench.errors import UserError

_MEND = "start with torchrun, or unset WORLD_SIZE"


def launched_ranks() -> int:
    """Return the number of ranks that torchrun started, 1 without it.

    Raises:
        UserError: the environment names several, but not which this is and where the others are.
    """
    size = _number("WORLD_SIZE", 1)
    if size is None:
        return 1
    if size > 1:
        said = f"WORLD_SIZE={size}"
        for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
            if not os.environ.get(name):
                raise UserError(f"{said}, but {name} is not set: {_MEND}")
        rank = _number("RANK", 0)
        if rank is None or rank >= size:
            raise UserError(f"RANK={rank}: not one of the {said} ranks; {_MEND}")
        _number("MASTER_PORT", 0)
        _number("LOCAL_RANK", 0)
    return size


def launched_rank() -> int:
    """Return which of the ranks this process is; RANK says nothing where it is alone.

    Raises:
        UserError: see `launched_ranks`.
    """
    return (_number("RANK", 0) or 0) if launched_ranks() > 1 else 0


def local_rank() -> int:
    """Return which of the ranks on its machine this process is."""
    return _number("LOCAL_RANK", 0) or 0


def _number(name: str, least: int) -> int | None:
    """Return a variable's value, None if it is not set."""
    text = os.environ.get(name, "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 10) or int(text) < least:
        raise UserError(f"{name}={text}: expected a whole number of {least} or more; {_MEND}")
    return int(text)
