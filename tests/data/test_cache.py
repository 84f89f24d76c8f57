"""optbench.data.cache"""

from collections.abc import Iterator
from typing import Any

import pytest
from omegaconf import OmegaConf

from optbench.data import cache
from optbench.data.cache import KEPT, load_cached
from optbench.errors import UserError


class Recorder:
    """A factory which counts its calls."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def __call__(self, **kwargs: Any) -> Any:
        self.calls.append(kwargs)
        return object()


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(cache, "_loaded", type(cache._loaded)())
    yield


def test_equal_arguments_load_once() -> None:
    factory = Recorder()
    first = load_cached(factory, root="a", mean=[0.1, 0.2], md5={"x": "1", "y": "2"})
    again = load_cached(
        factory,
        md5=OmegaConf.create({"y": "2", "x": "1"}),
        mean=OmegaConf.create([0.1, 0.2]),
        root="a",
    )
    assert first is again
    assert len(factory.calls) == 1


def test_other_arguments_or_factories_load_anew() -> None:
    factory, other = Recorder(), Recorder()
    objects = [
        load_cached(factory, mean=[0.1]),
        load_cached(factory, mean=[0.2]),
        load_cached(factory, std=[0.1]),
        load_cached(other, mean=[0.1]),
    ]
    assert len({id(item) for item in objects}) == 4


def test_the_last_used_are_kept() -> None:
    factory = Recorder()
    for number in range(KEPT):
        load_cached(factory, number=number)
    load_cached(factory, number=0)
    load_cached(factory, number=KEPT)
    assert len(factory.calls) == KEPT + 1
    load_cached(factory, number=0)
    assert len(factory.calls) == KEPT + 1
    load_cached(factory, number=1)
    assert len(factory.calls) == KEPT + 2


def test_a_failed_load_is_tried_again() -> None:
    def fail(**kwargs: Any) -> Any:
        kwargs["calls"].append(1)
        raise UserError("missing")

    class Calls(list[int]):
        pass

    calls = Calls()
    for _ in range(2):
        with pytest.raises(UserError, match="missing"):
            load_cached(fail, calls=calls)
    assert len(calls) == 2
