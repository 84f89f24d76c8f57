"""What a cluster of Ray has, asked by a process of its own.

Ray tries for long to reach a cluster that is not there, and may abort the process that does.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from optbench.console import print_lines
from optbench.errors import Argument, ArgumentError

AUTO, VARIABLE = "auto", "RAY_ADDRESS"
MARK = "nodes: "
START_SECONDS = 30.0
"""How long importing Ray and looking may take, once the cluster's port answers."""

QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_LOG_TO_DRIVER": "0"}
"""In the environment, it keeps Ray from reporting its use, and from most of what it prints."""

Resources = Mapping[str, float]


def nodes_of(address: str, timeout: float) -> list[Resources]:
    """Return what each node of a cluster has: `CPU`, `GPU` and others.

    Args:
        address: `host:port` of the head, or `auto`.
        timeout: seconds in which the port has to answer.

    Raises:
        ArgumentError: no address, nobody answers there, or no Ray that can be used from here.
    """
    where = os.environ.get(VARIABLE, AUTO) if address == AUTO else address
    named = Argument("address", address)
    if where != AUTO:
        host, _, port = where.rpartition(":")
        if "://" in where or not host or not port.isdecimal() or not 0 < int(port) < 65536:
            said = f" ({VARIABLE}={where})" if address == AUTO else ""
            raise ArgumentError(named, f"{said}: expected host:port of the head, such as head:6379")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout).close()
        except (OSError, UnicodeError) as error:
            why = "no answer" if isinstance(error, TimeoutError) else _why(error)
            raise ArgumentError(named, f": nobody answers at {where} ({why})") from None
    command = [sys.executable, "-m", "optbench.executors.ray_nodes", where]
    try:
        asked = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout + START_SECONDS,
            env={**os.environ, **QUIET},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ArgumentError(named, f": what answers at {where} is no Ray, or stuck") from None
    found = [line for line in asked.stdout.splitlines() if line.startswith(MARK)]
    if not found:
        lines = [line for line in asked.stderr.strip().splitlines() if line.strip()]
        said = lines[-1].strip() if lines else "it gives no reason"
        if "AuthenticationError" in asked.stderr:
            said = "it wants a token: RAY_AUTH_MODE=token, and the cluster's ~/.ray/auth_token"
        raise ArgumentError(named, f": no Ray can be joined from here ({said})")
    nodes: list[Resources] = json.loads(found[-1].removeprefix(MARK))
    return nodes


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def fitting(nodes: Sequence[Resources], cpus: float, gpus: float) -> int:
    """Return how many runs there is room for at once.

    A GPU is shared by runs that take a part of it; none is put together from several.

    Example:
        >>> fitting([{"CPU": 8.0, "GPU": 2.0}, {"CPU": 3.0}], cpus=1, gpus=0.3)
        6
    """
    most = 0
    for node in nodes:
        by_cpus = _times(node.get("CPU", 0.0), cpus)
        there = node.get("GPU", 0.0)
        by_gpus = int(there) * _times(1.0, gpus) if 0 < gpus < 1 else _times(there, gpus)
        most += min(by_cpus, by_gpus)
    return most


def _times(there: float, each: float) -> int:
    return int(there / each + 1e-9) if each else sys.maxsize


def _print_nodes(address: str) -> None:
    """Print what each living node has, as JSON, for `nodes_of`."""
    import ray

    ray.init(address=address, log_to_driver=False, logging_level="CRITICAL")
    nodes: list[dict[str, Any]] = ray.nodes()
    print_lines(MARK + json.dumps([node["Resources"] for node in nodes if node["Alive"]]))
    sys.stdout.flush()
    ray.shutdown()


if __name__ == "__main__":
    _print_nodes(sys.argv[1])
