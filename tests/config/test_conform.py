"""Composed values held against the files that they came from."""

from typing import Any

import pytest

from optbench.config.conform import conform
from optbench.config.keys import join
from optbench.errors import UserError

from .plain import composed

REFERENCE: dict[str, Any] = {
    "flag": False,
    "count": 3,
    "share": 0.5,
    "text": "a",
    "numbers": [0.1, 0.2],
    "nothing": None,
    "follows": "${count}",
    "open": {},
    "lr": 0.1,
    "betas": [0.9, 0.999],
    "device": "auto",
    "group": {"lr": 0.1, "text": "b", "_target_": "c.D"},
}
RIGHT = [
    ("flag", True, True),
    ("count", 4.0, 4),
    ("share", 1, 1.0),
    ("text", 12, "12"),
    ("numbers", [1], [1.0]),
    ("nothing", {"any": [1]}, {"any": [1]}),
    ("follows", 7, 7),
    ("open", {"free": 1}, {"free": 1}),
    ("lr", 0, 0.0),
    ("betas", [0, 0.5], [0.0, 0.5]),
    ("group", {"lr": 1}, {"lr": 1.0}),
]
WRONG = [
    ({"flag": 1}, "flag=1: not valid; expected true or false"),
    ({"count": 1.5}, "count=1.5: not valid; expected a whole number"),
    ({"count": True}, "count=true: not valid; expected a whole number"),
    ({"share": "abc"}, "share=abc: not valid; expected a number"),
    ({"share": None}, "share=null: not valid; expected a number"),
    ({"text": [1]}, "text=[1]: not valid; expected a text"),
    ({"numbers": 1}, "numbers=1: not valid; expected a list, such as [0.1, 0.2]"),
    ({"numbers": [1, "a"]}, "numbers[1]=a: not valid; expected a number"),
    ({"lr": -1}, "lr=-1: not valid; expected a number, at least 0"),
    ({"betas": [0.9]}, "betas=[0.9]: not valid; expected 2 numbers, such as 'betas=[0.9,0.999]'"),
    ({"device": "gpu"}, "device=gpu: not valid; did you mean cuda?"),
    ({"group": 5}, "group=5: not valid; did you mean group.lr?"),
    ({"group": [5]}, "group=[5]: not valid; expected a group of keys: lr, text"),
    ({"group": {"lr": -1}}, "group.lr=-1: not valid; expected a number, at least 0"),
]
UNKNOWN = [
    ({"flg": True}, "flg=true: no such key; did you mean flag?"),
    ({"group": {"lrr": 1}}, "group.lrr=1: no such key; did you mean group.lr?"),
    ({"group": {"new": {"a": 1}}}, "group.new: no such key; choose from lr, text"),
]


@pytest.mark.parametrize(("key", "written", "read"), RIGHT)
def test_a_value_gets_the_type_of_its_default(key: str, written: Any, read: Any) -> None:
    found = conform({key: written}, REFERENCE)
    assert found == {key: read}
    assert type(found[key]) is type(read)


@pytest.mark.parametrize(("values", "message"), WRONG + UNKNOWN)
def test_what_does_not_fit_is_named_with_its_value(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        conform(values, REFERENCE)
    assert str(caught.value) == message


def test_a_group_without_keys_of_its_own_says_so() -> None:
    with pytest.raises(UserError, match=r"group\.lr=1: no such key; group takes no keys"):
        conform({"group": {"lr": 1}}, {"group": {"_target_": "a.B"}})


def test_a_default_of_nothing_allows_nothing() -> None:
    assert conform({"lr": None}, {"lr": None}) == {"lr": None}
    with pytest.raises(UserError, match="lr=null: not valid"):
        conform({"lr": None}, {"lr": 0.1})


def test_a_longer_name_has_a_field_of_its_own() -> None:
    assert conform({"clip": {"norm": None}}, {"clip": {"norm": 1.0}}) == {"clip": {"norm": None}}
    with pytest.raises(UserError, match=r"clip\.norm=0: not valid; expected a positive number"):
        conform({"clip": {"norm": 0}}, {"clip": {"norm": None}})


def test_what_conforms_conforms_again_unchanged() -> None:
    once = conform(REFERENCE, REFERENCE)
    assert conform(once, REFERENCE) == once


def test_the_values_are_not_those_of_the_caller() -> None:
    values = composed()
    conform(values, composed())["optimizer"]["lr"] = 5.0
    assert values["optimizer"]["lr"] == composed()["optimizer"]["lr"]


def test_dotted_keys() -> None:
    assert join("", "lr") == "lr"
    assert join("optimizer", "lr") == "optimizer.lr"
