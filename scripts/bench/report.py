"""How long a report of thousands of runs takes: made by Python, and opened in Chromium.

    python scripts/bench/report.py --runs 5000 --chromium "$(which chromium)"

The runs are synthetic: a real one of each optimizer, copied with other widths, rates, seeds and
curves; 5,000 are 20 workloads of 25 arms of 10 seeds. Without --chromium the page is not opened.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import parser, start
from pictures import FLAGS
from synthetic_runs import make

TIMES = 3
"""That the page is opened; the fastest counts, for others use the machine too."""


def opened(file: Path, chromium: str) -> float:
    """Return the seconds from asking for the page until it can be used: read, filtered, sorted."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as profile:
        browser = playwright.chromium.launch_persistent_context(
            profile, executable_path=chromium, args=FLAGS, viewport={"width": 1280, "height": 900}
        )
        seconds = []
        for _ in range(TIMES):
            page = browser.new_page()
            begun = time.perf_counter()
            page.goto(file.as_uri())
            page.wait_for_selector("html[data-ready]")
            page.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
            seconds.append(time.perf_counter() - begun)
            page.close()
        browser.close()
    return min(seconds)


def _processor_seconds() -> float:
    """Return those of all processes that this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Makes runs, a report, and opens it."""
    options = parser(__doc__)
    options.add_argument("--runs", type=int, default=5000)
    options.add_argument("--chromium")
    given = options.parse_args()
    many = 40 if given.quick else given.runs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder / "runs", many, folder / "begun")
        out = folder / "report.html"
        command = [sys.executable, "-m", "optbench", "report", str(folder / "runs"), "-o", str(out)]
        begun, used = time.perf_counter(), _processor_seconds()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        wall, cpu = time.perf_counter() - begun, _processor_seconds() - used
        print(f"{many} runs: gathered and written in {wall:.1f} s ({cpu:.1f} s of processor time)")
        print(f"{out.stat().st_size / 1e6:.1f} MB")
        if given.chromium is None or find_spec("playwright") is None:
            print("not opened: that needs playwright and --chromium")
        else:
            print(f"usable in Chromium after {opened(out, given.chromium):.1f} s")


if __name__ == "__main__":
    start(main)
