"""What all tests have: nothing in them depends on how fast the machine is, or whose it is.

Config files of equal text are parsed once in all the tests of a process.

Hydra reads twenty of them for every run, and the parser is most of the time that it takes. Whoever
loads one gets a copy of their own, and what is changed on the disk is read anew.
"""

from __future__ import annotations

import copy
import gc
import io
import os
import sys
import tempfile
from collections.abc import Generator
from functools import cache
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, configuration, settings
from omegaconf import OmegaConf

load = OmegaConf.load
os.environ.pop("COLUMNS", None)  # how wide the terminal is that the tests are begun in

# The same examples in every run, however slow the machine is, and no folder in the repository.
configuration.set_hypothesis_home_dir(f"{tempfile.gettempdir()}/optbench-hypothesis")
settings.register_profile(
    "suite",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("suite")


@cache
def parsed(text: str) -> Any:
    return load(io.StringIO(text))


def load_text_once(file: Any) -> Any:
    """`OmegaConf.load`."""
    if not hasattr(file, "read"):
        with open(file, encoding="utf-8") as opened:
            return load_text_once(opened)
    try:
        return copy.deepcopy(parsed(file.read()))
    except yaml.YAMLError:  # which is to name the file
        file.seek(0)
        return load(file)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Finding the tests makes a million objects and no garbage: they are not looked at again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _texts_are_parsed_once() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OmegaConf, "load", staticmethod(load_text_once))
        yield


@pytest.fixture(autouse=True)
def _path_as_it_was() -> Any:
    """Each run adds the folder it is begun in, so that after a thousand no program could be given
    the path any more."""
    before = list(sys.path)
    yield
    sys.path[:] = before


@pytest.fixture(scope="session", autouse=True)
def _state_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The key that seals runs is not made in the home of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield
