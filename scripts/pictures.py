"""Takes README's pictures of TensorBoard: scalars and HParams of a folder of runs.

Needs `pip install playwright` and a Chromium:

    python scripts/pictures.py runs/sweeps/DATE/TIME --chromium "$(which chromium)"
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PAGES = {
    "scalars": "?tagFilter=val%2F%7Ctrain%2Floss%7Cupdate_ratio%2Ftotal#timeseries",
    "hparams": "#hparams",
}


def wait_for(address: str, seconds: float = 60) -> None:
    """Until the server answers."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(address, timeout=2)
            return
        except OSError:
            time.sleep(0.5)
    raise SystemExit(f"{address} does not answer")


def take(address: str, chromium: str, out: Path) -> None:
    """One PNG a page."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as profile:
        browser = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=chromium,
            args=FLAGS,
            viewport={"width": 1500, "height": 760},
        )
        for name, fragment in PAGES.items():
            page = browser.new_page()
            page.goto(f"{address}/{fragment}")
            page.wait_for_timeout(8000)
            page.screenshot(path=str(out / f"tensorboard-{name}.png"))
            print(out / f"tensorboard-{name}.png")
        browser.close()


def main() -> None:
    """Starts TensorBoard, takes the pictures, ends it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--chromium", required=True)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--port", type=int, default=6123)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    command = ["--logdir", str(given.folder), "--port", str(given.port), "--load_fast", "false"]
    server = subprocess.Popen([sys.executable, "-m", "tensorboard.main", *command])
    try:
        wait_for(f"http://localhost:{given.port}")
        time.sleep(5)
        take(f"http://localhost:{given.port}", given.chromium, given.out)
    finally:
        server.terminate()


if __name__ == "__main__":
    main()
