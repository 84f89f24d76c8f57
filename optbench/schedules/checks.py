"""Checks of schedule fields: each raises a ValueError of one line with field and value."""

from collections.abc import Collection


def require_steps(field: str, value: object, at_least: int = 1) -> None:
    """Raise unless `value` is an int of at least `at_least` steps."""
    if type(value) is not int or value < at_least:
        raise ValueError(f"{field} must be an integer >= {at_least}, got {value!r}")


def require_number(
    field: str,
    value: object,
    low: float,
    high: float,
    *,
    open_low: bool = False,
    open_high: bool = False,
) -> None:
    """Raise unless `value` is a number from `low` to `high`.

    Args:
        field: name of the field, for the message.
        value: what was given for it.
        low: lower end of the interval.
        high: upper end of the interval.
        open_low: whether `low` itself is outside.
        open_high: whether `high` itself is outside.
    """
    # Written as what must hold, not as what must not, so that a NaN is refused.
    if (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and (low < value if open_low else low <= value)
        and (value < high if open_high else value <= high)
    ):
        return
    interval = f"{'(' if open_low else '['}{low:g}, {high:g}{')' if open_high else ']'}"
    raise ValueError(f"{field} must be a number in {interval}, got {value!r}")


def require_choice(field: str, value: object, choices: Collection[str]) -> None:
    """Raise unless `value` is one of `choices`."""
    if value not in choices:
        raise ValueError(f"{field} must be one of {', '.join(choices)}, got {value!r}")
