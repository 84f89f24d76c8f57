"""The nearest right spelling."""

import pytest

from optbench.config.suggest import ALIASES, did_you_mean, likeness, nearest

OPTIMIZERS = ["adam", "adamax", "adamw", "lbfgs", "sgd"]


@pytest.mark.parametrize(
    ("word", "right"),
    [
        *(("adamm", "adam"), ("ADAMW", "adamw"), ("sdg", "sgd"), ("lbgfs", "lbfgs")),
        *(
            ("adma", "adam"),
            ("adem", "adam"),
            ("sgf", "sgd"),
            ("adam_w", "adamw"),
            ("Adam-W", "adamw"),
            ("adam2", "adam"),
        ),
    ],
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
    assert nearest("none", ["auto", "once"]) == "once"


def test_a_word_like_none_of_them_gets_the_list_in_order() -> None:
    assert nearest("xyzzy", ["sgd", "adam"]) is None
    assert did_you_mean("xyzzy", ["sgd", "adam"]) == "choose from adam, sgd"


@pytest.mark.parametrize(("word", "other"), [("foo", "zoo"), ("nope", "none"), ("gpu", "cpu")])
def test_a_short_word_with_another_letter_is_another_word(word: str, other: str) -> None:
    assert nearest(word, [other]) is None


def test_words_in_another_order_are_the_same() -> None:
    assert nearest("lr-find", ["find-lr", "list"]) == "find-lr"
    assert nearest("steps_warmup", ["warmup_steps", "steps"]) == "warmup_steps"


def test_nothing_is_near_where_there_is_nothing() -> None:
    assert nearest("adam", []) is None


def test_the_options_may_be_in_capitals() -> None:
    assert nearest("steplrr", ["StepLR", "CyclicLR"]) == "StepLR"


def test_of_two_that_are_equally_alike_the_one_with_the_same_start_is_taken() -> None:
    assert nearest("one", ["none", "once"]) == "once"


@pytest.mark.parametrize("other", ["cosin", "cosinee", "cosune", "csoine"])
def test_one_slip_is_nearly_nothing(other: str) -> None:
    assert likeness("cosine", "cosine") > likeness(other, "cosine") > 0.9
