"""Every test file is collected: one that pytest leaves out is one that nobody runs."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_what_is_collected_is_what_is_there() -> None:
    there = {str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py")}
    command = [sys.executable, "-m", "pytest", "--collect-only", "-n", "0", "-m", ""]
    listed = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, encoding="utf-8"
    ).stdout
    collected = {line.partition("::")[0] for line in listed.splitlines() if "::" in line}
    assert collected == there
