"""Takes README's pictures of TensorBoard: scalars and HParams of a folder of runs.

Needs `pip install playwright` and a Chromium:

    python scripts/pictures.py runs/sweeps/DATE/TIME --chromium "$(which chromium)"

With --quick the runs are made for it, and without playwright no pictures are taken.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from common import parser, start, succeeded, sweep

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


def wait_for(server: subprocess.Popen[bytes], address: str, seconds: float = 120) -> None:
    """Until the server answers."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=2)
            return
        except OSError:
            time.sleep(0.5)
    raise SystemExit(f"{address} does not answer")


def free_port() -> int:
    """One that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def tensorboard(folder: Path) -> Iterator[str]:
    """A TensorBoard of the folder while the block runs; its address."""
    port = free_port()
    command = ["--logdir", str(folder), "--port", str(port), "--load_fast", "false"]
    with tempfile.TemporaryDirectory() as own:  # it writes down there that it runs
        server = subprocess.Popen(
            [sys.executable, "-m", "tensorboard.main", *command],
            env={**os.environ, "TMPDIR": own},
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for(server, f"http://localhost:{port}")
            yield f"http://localhost:{port}"
        finally:
            server.kill()
            server.wait()


def take(address: str, chromium: str | None, out: Path, seconds: float) -> None:
    """One PNG a page, each so long after it was opened."""
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
            page.wait_for_timeout(1000 * seconds)
            page.screenshot(path=str(out / f"tensorboard-{name}.png"))
            print(out / f"tensorboard-{name}.png")
        browser.close()


def quick(chromium: str | None) -> None:
    """All of it with two tiny runs, as far as what it needs is there."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runs = ["seed=0,1", "steps=4", "device=cpu", "threads=1"]
        succeeded(*sweep(*runs, folder=folder / "runs"))
        with tensorboard(folder / "runs") as address:
            if chromium is None or find_spec("playwright") is None:
                print("no pictures: they need playwright and --chromium")
            else:
                take(address, chromium, folder, seconds=1)


def main() -> None:
    """Starts TensorBoard, takes the pictures, ends it."""
    options = parser(__doc__)
    options.add_argument("folder", type=Path, nargs="?", help="of runs; of no use to --quick")
    options.add_argument("--chromium")
    options.add_argument("--out", type=Path, default=Path("docs/images"))
    given = options.parse_args()
    if given.quick:
        quick(given.chromium)
        return
    if given.folder is None or given.chromium is None:
        options.error("the folder and --chromium are needed")
    given.out.mkdir(parents=True, exist_ok=True)
    with tensorboard(given.folder) as address:
        time.sleep(5)  # it reads the runs behind its first answer
        take(address, given.chromium, given.out, seconds=8)


if __name__ == "__main__":
    start(main)
