"""Every instrument by its name: it is there, and tells what it measures."""

from __future__ import annotations

import pytest

from optbench.assemble.instruments import expanded, make_instruments, settings_of
from optbench.errors import UserError
from optbench.instruments.names import CLASSES, SETS, what_of


def test_each_says_what_it_measures() -> None:
    made = make_instruments(["all"])
    assert [each.name for each in made] == [*CLASSES]
    assert {each.name: each.what for each in made} == {name: what_of(name) for name in CLASSES}


def test_sets_are_of_instruments_that_there_are() -> None:
    assert {name for names in SETS.values() for name in names} <= {*CLASSES}
    assert not {*SETS} & {*CLASSES, "all"}
    assert expanded(["trace", "curvature", "trace"])[0] == "trace"
    assert len(expanded(["trace", "curvature"])) == len(SETS["curvature"])


def test_settings_are_those_of_the_bases_too() -> None:
    assert {"top", "bottom", "tolerance", "examples", "chunk", "seed"} <= {*settings_of("ggn")}


def test_common_settings_go_to_those_that_have_them() -> None:
    made = make_instruments(["hessian", "ggn"], {"ggn": {"top": 2}}, {"examples": 7, "odd": 1})
    assert [(each.examples, each.top) for each in made] == [(7, 5), (7, 2)]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("said", "settings", "message"),
    [
        (["hesian"], {}, r"instruments=hesian: no such instrument; did you mean hessian\?"),
        ([], {}, r"instruments=\[\]: which\? hessian, "),
        ([3], {}, "instruments=3: a name, or"),
        ([{"top": 3}], {}, "a name, or {_target_: my.module.Class}"),
        (["hessian"], {"hessian": {"tpo": 3}}, r"hessian.tpo: no such setting of hessian; did you"),
        (["hessian"], {"trace": {"products": 9}}, "trace.products: trace is not among instrumen"),
        (["hessian"], {"hessian": {"top": "x"}}, "hessian.top=x: a whole number, at least 0"),
        (["no.such.Class"], {}, "instruments=no.such.Class: no such class or function; no module"),
        (["pathlib.Path"], {}, "instruments=pathlib.Path: an object of PosixPath has no lacking"),
    ],
)
def test_bad_ones_are_refused(said: list[object], settings: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_instruments(said, settings)  # type: ignore[arg-type]
