"""Numbers as people read them."""

from __future__ import annotations

import math


def significant(value: float) -> str:
    """Format four significant digits, with an exponent where there would be more digits than that.

    Example:
        >>> significant(0.94444), significant(1e-5), significant(12345.0)
        ('0.9444', '1.000e-05', '1.234e+04')
    """
    if not math.isfinite(value) or value == 0:
        return f"{value:g}"
    return f"{value:#.4g}".rstrip(".")
