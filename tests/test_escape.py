"""What a terminal would obey is shown."""

import subprocess

import pytest

from optbench.escape import escaped, escaped_lines, shell_word

OBEYED = [
    ("\x1b[31mred", r"\x1b[31mred"),
    ("a\nb\tc\r", r"a\nb\tc\r"),
    ("bell\x07 and \x9b31m", r"bell\x07 and \x9b31m"),
    ("\x7f\x00", r"\x7f\x00"),
    ("abc\u202ecba", r"abc\u202ecba"),
    ("\u2066isolate\u2069", r"\u2066isolate\u2069"),
    ("line\u2028end", r"line\u2028end"),
    ("\ufeffmark", r"\ufeffmark"),
    ("na\udcefve", r"na\xefve"),
    ("\ud800", r"\ud800"),
    ("tag\U000e0041", r"tag\U000e0041"),
]
SHOWN = [
    "naïve 日本",
    "a b",
    "\u3000ideographic",
    "n\xa0b",
    "👩\u200d🔬",
    "שלום",
    "نمی\u200cشود",
    "[red]",
]


@pytest.mark.parametrize(("text", "safe"), OBEYED)
def test_what_a_terminal_obeys_is_shown(text: str, safe: str) -> None:
    assert escaped(text) == safe
    assert escaped(safe) == safe


@pytest.mark.parametrize("text", SHOWN)
def test_letters_of_all_scripts_stay(text: str) -> None:
    assert escaped(text) == text


def test_lines_stay_lines() -> None:
    assert escaped_lines("a\n\tb\x1b\r\n") == "a\n\tb\\x1b\\r\n"


@pytest.mark.parametrize("word", ["a", "a b", "it's", "a\x1b[31m", "a\\'\x1b", "a\nb", "\u202ex"])
def test_a_word_for_the_shell_is_that_word(word: str) -> None:
    typed = shell_word(word)
    assert escaped(typed) == typed
    said = subprocess.run(
        ["bash", "-c", f"printf %s {typed}"],
        capture_output=True,
        encoding="utf-8",
        env={"LC_ALL": "C.UTF-8"},
    )
    assert said.stdout == word
