"""Checks of a user's own."""

from __future__ import annotations

from collections.abc import Iterator

from optbench.check.base import Finding, Skipped
from optbench.check.setup import Setup


class Size:
    """Tells of models with more parameters than are wanted."""

    name = "size"

    def __init__(self, most: int = 100) -> None:
        self.most = most

    def run(self, setup: Setup) -> Iterator[Finding]:
        count = setup.experiment.parameters
        if count > self.most:
            yield Finding("fail", f"{count} parameters", remedy="model.hidden=[1]")


class NotHere:
    name = "not here"

    def run(self, setup: Setup) -> Iterator[Finding]:
        raise Skipped("no reason")
        yield


class Broken:
    name = "broken"

    def run(self, setup: Setup) -> Iterator[Finding]:
        raise ValueError("mine")
        yield


class NoCheck:
    pass
