"""The page itself: what was gathered, the program that shows it, and plotly, in one file."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from optbench.errors import UserError

MARK = "<!doctype html><!-- a report of optbench -->"
"""How a page begins; a file that begins otherwise is not overwritten."""
SCRIPTS = ("core", "table", "plots", "board", "curves", "searches", "runs", "main")
"""The parts of the program, in the order in which they are joined."""
_ESCAPES = str.maketrans(
    {"<": r"\u003c", ">": r"\u003e", "&": r"\u0026", "\u2028": r"\u2028", "\u2029": r"\u2029"}
)


def plotly_code() -> str:
    """Return plotly's minified program.

    Raises:
        UserError: plotly is not installed.
    """
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise UserError(
            "a report needs plotly, which is not installed: pip install 'optbench[report]'"
        ) from None
    return str(get_plotlyjs())


def page(gathered: Mapping[str, Any], plotly: str) -> str:
    """Return the whole page.

    It asks nothing of any network, and its policy forbids it to. No script runs but the two that
    are named in it by their hash; what run folders say is JSON in scripts of another type, with
    each sign escaped that could end them.

    Args:
        gathered: as `gather` has it.
        plotly: its program; it is run when the first plot is looked at.
    """
    code = "\n".join(_static(f"{name}.js") for name in SCRIPTS)
    library = plotly.replace("</script", r"<\/script").replace("<!--", r"<\!--")
    allowed = " ".join(f"'sha256-{_sha256(text)}'" for text in (code, library))
    policy = (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    parts = [
        MARK,
        '<html lang="en" data-theme="light"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{html.escape(policy, quote=False)}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        "<title>optbench report</title>",
        f"<style>{_static('report.css')}</style></head><body>",
        _static("report.html"),
        _block("page", gathered["page"]),
        _block("configs", gathered["configs"]),
        *(_block(f"bands-{i}", each) for i, each in enumerate(gathered["bands"])),
        *(_block(f"singles-{i}", each) for i, each in enumerate(gathered["singles"])),
        f'<script type="text/plain" id="plotly">{library}</script>',
        f"<script>{code}</script>",
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _block(name: str, values: Any) -> str:
    text = json.dumps(values, separators=(",", ":"), allow_nan=False)
    return f'<script type="application/json" id="{name}">{text.translate(_ESCAPES)}</script>'


def _static(name: str) -> str:
    return (files("optbench.report") / "static" / name).read_text(encoding="utf-8")


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
