"""What our own full run said of each claim: `docs/textbook/results`, in a wheel `textbook`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from optbench.errors import UserError
from optbench.files import load_json
from optbench.statistics import holm


def published_folder() -> Path:
    """Return where the published outcomes lie."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "textbook"
    return inside if inside.is_dir() else package.parent / "docs" / "textbook" / "results"


def published(name: str) -> dict[str, Any] | None:
    """Return what was published of a claim; None of one that was not."""
    try:
        return load_json(published_folder() / f"{name}.json")
    except (OSError, UserError):
        return None


def adjusted(outcomes: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Return, by claim, the p of those verdicts that rest on a test, by Holm for all of them."""
    found = {str(each["claim"]): float(each["p"]) for each in outcomes if each["p"] is not None}
    return dict(zip(found, holm([*found.values()]), strict=True)) if found else {}
