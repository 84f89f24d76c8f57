"""The nearest right spelling."""

import pytest

from optbench.config.suggest import ALIASES, did_you_mean, nearest

OPTIMIZERS = ["adam", "adamw", "lbfgs", "sgd"]


@pytest.mark.parametrize(
    ("word", "right"),
    [("adamm", "adam"), ("ADAMW", "adamw"), ("sdg", "sgd"), ("lbgfs", "lbfgs")],
)
def test_a_typing_error_gets_the_word_that_was_meant(word: str, right: str) -> None:
    assert nearest(word, OPTIMIZERS) == right
    assert did_you_mean(word, OPTIMIZERS) == f"did you mean {right}?"


def test_the_options_may_come_from_anything_that_is_gone_through_once() -> None:
    assert did_you_mean("adm", iter(OPTIMIZERS)) == "did you mean adam?"


@pytest.mark.parametrize(("word", "right"), sorted(ALIASES.items()))
def test_a_word_for_the_same_thing_is_known(word: str, right: str) -> None:
    assert nearest(word.upper(), ["auto", right]) == right


def test_an_alias_counts_only_where_its_word_is_an_option() -> None:
    assert nearest("gpu", ["auto", "cpu"]) == "cpu"


def test_a_word_like_none_of_them_gets_the_list_in_order() -> None:
    assert nearest("xyzzy", ["sgd", "adam"]) is None
    assert did_you_mean("xyzzy", ["sgd", "adam"]) == "choose from adam, sgd"


def test_nothing_is_near_where_there_is_nothing() -> None:
    assert nearest("adam", []) is None
