"""What the system says of the CPU."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from optbench import processor as module
from optbench.processor import maker, processor

CORES = """processor\t: 0
vendor_id\t: AuthenticAMD
model\t\t: 2
model name\t: AMD EPYC 9575F: 64 cores

processor\t: 1
vendor_id\t: another
model name\t: another
"""


def test_the_first_core_speaks_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpuinfo").write_text(CORES, encoding="utf-8")
    monkeypatch.setattr(module, "LINUX", tmp_path / "cpuinfo")
    assert (processor(), maker()) == ("AMD EPYC 9575F: 64 cores", "AuthenticAMD")


@pytest.mark.parametrize("text", [None, "Features\t: fp asimd\n"])  # as on macOS; as on Arm
def test_where_nothing_is_said_the_machine_is_named(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if text is not None:
        (tmp_path / "cpuinfo").write_text(text, encoding="utf-8")
    monkeypatch.setattr(module, "LINUX", tmp_path / "cpuinfo")
    assert processor() == (platform.processor() or platform.machine()) and maker() == ""
