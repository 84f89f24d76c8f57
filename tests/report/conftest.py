"""A report of crafted runs, and a real Chromium to open it in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from comparison.folders import Folders

from optbench.report.write import report

FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
EVIL = "<script>window.caught=1</script><img src=x onerror=window.caught=2>"


def measured(folder: Path, last: float, lr: float = 0.1) -> None:
    """Give a run's folder curves that end at an accuracy."""
    lines = []
    for step in range(20, 421, 20):
        at = {"step": step, "epoch": step / 21, "examples": 64 * step, "seconds": step / 500}
        accuracy = last - 0.5 * (1 - step / 420)
        lines += [
            {"kind": "train", **at, "train/loss": 2 - last * step / 420},
            {"kind": "monitor", **at, "update_ratio/total": lr / 100},
            {"kind": "val", **at, "val/loss": 2.1 - step / 420, "val/accuracy": accuracy},
        ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "metrics.jsonl").write_text(text, encoding="utf-8")


def crafted(top: Path) -> Path:
    """Write runs of three optimizers at three rates, one that diverged, and one that is going on.

    One run has markup in its name, notes, tags, message and config.
    """
    folders = Folders(top)
    for place, optimizer in enumerate(("sgd", "adam", "lion")):
        for seed in range(7):
            score = 0.95 - 0.02 * place + 0.001 * ((seed * 3) % 5)
            evil = {"name": EVIL, "notes": f"{EVIL} a note", "tags": [EVIL, "odd"]}
            odd = optimizer == "lion" and seed == 6
            path = folders.write(
                f"{optimizer}-{seed}",
                optimizer,
                seed,
                score,
                settings=evil if odd else {},
                status={"message": f"{EVIL} said"} if odd else {},
                said=(f"optimizer={optimizer}", f"seed={seed}"),
                environment={
                    "command": ["/x/__main__.py", "train", "-m", EVIL if odd else "seed=0"]
                },
                target={"metric": "val/accuracy", "mode": "max", "value": 0.9, "step": 200 + seed},
            )
            measured(path, score)
    folders.write("broken", "sgd", 20, None, state="diverged", final={})
    going = folders.write("going", "sgd", 21, 0.5, state="running")
    measured(going, 0.5)
    (going / "summary.json").unlink()
    return top


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The crafted runs; nobody writes to them."""
    return crafted(tmp_path_factory.mktemp("report") / "runs")


@pytest.fixture(scope="session")
def written(runs: Path) -> Path:
    """A page of them."""
    pytest.importorskip("plotly")
    pytest.importorskip("scipy")
    return report(runs, out=runs.parent / "report.html")


@dataclass
class Seen:
    """A page in Chromium, and all that it asked for and complained of."""

    page: Any
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def open(self, file: Path, fragment: str = "") -> Any:
        self.page.goto(file.as_uri() + fragment)
        self.page.wait_for_selector("html[data-ready]")
        return self.page


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A real one."""
    playwright = pytest.importorskip("playwright.sync_api")
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("no chromium")
    with playwright.sync_playwright() as driver:
        profile = tmp_path_factory.mktemp("profile")
        browser = driver.chromium.launch_persistent_context(
            profile, executable_path=program, args=FLAGS, viewport={"width": 1280, "height": 900}
        )
        browser.set_default_timeout(60_000)
        yield browser
        browser.close()


@pytest.fixture
def seen(chromium: Any) -> Iterator[Seen]:
    """A new page, which has to ask for nothing but itself, and to complain of nothing."""
    page = chromium.new_page()
    found = Seen(page)
    page.on("request", lambda request: found.requests.append(request.url))
    page.on("console", lambda said: found.complaints.append(f"{said.type}: {said.text}"))
    page.on("pageerror", lambda error: found.complaints.append(str(error)))
    yield found
    page.close()
    others = [url for url in found.requests if not url.startswith(("file:", "blob:", "data:"))]
    assert (others, found.complaints) == ([], [])
