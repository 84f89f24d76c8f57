"""A count with its noun."""

from __future__ import annotations


def counted(count: int, what: str, plural: str | None = None) -> str:
    """Return a count with its noun, in the plural where it is not one.

    Example:
        >>> counted(1, "layer"), counted(2_000, "class", "classes")
        ('1 layer', '2,000 classes')
    """
    return f"{count:,} {what if count == 1 else plural or what + 's'}"
