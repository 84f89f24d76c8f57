"""One warm process for all tests of this folder that a worker of pytest runs."""

import os
import shutil
from collections.abc import Iterator

import pytest

from .server import Server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    alone = "PYTEST_XDIST_WORKER" not in os.environ
    workers = len(os.sched_getaffinity(0)) if alone else 1
    server = Server(tmp_path_factory.mktemp("server"), workers)
    yield server
    server.close()
