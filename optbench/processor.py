"""What the system says of the CPU."""

from __future__ import annotations

import platform
from pathlib import Path

LINUX = Path("/proc/cpuinfo")


def processor() -> str:
    """Return the CPU's name; the kind of machine where the system tells none."""
    return told("model name") or platform.processor() or platform.machine()


def maker() -> str:
    """Return what Linux calls the CPU's maker, as AuthenticAMD; elsewhere nothing."""
    return told("vendor_id")


def told(key: str) -> str:
    """Return what Linux says of the first core under a key; nothing where it says none."""
    try:
        lines = LINUX.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    pairs = [line.partition(":") for line in lines]
    return next((value.strip() for name, _, value in pairs if name.strip() == key), "")
