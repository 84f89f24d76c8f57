"""scipy, asked for when it is needed: it is an extra, and slow to load."""

from __future__ import annotations

from typing import Any

from optbench.errors import UserError


def stats() -> Any:
    """Return `scipy.stats`.

    Raises:
        UserError: there is no scipy; the line says how to install it.
    """
    try:
        import scipy.stats
    except ImportError:
        raise UserError(
            "statistics need scipy, which is not installed: pip install 'optbench[compare]'"
        ) from None
    return scipy.stats
