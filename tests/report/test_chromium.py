"""A report in a real Chromium: it is clicked, filtered, hovered over, and asks nobody anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from optbench.report.write import report

from .conftest import EVIL, Seen

pytestmark = pytest.mark.slow


def expect(locator: Any) -> Any:
    """What playwright asserts of an element; without playwright `page` has skipped the test."""
    import playwright.sync_api

    return playwright.sync_api.expect(locator)


def rows(page: Any, table: str) -> list[str]:
    """The first cells of a table."""
    texts: list[str] = page.locator(f"#{table} tbody tr td:first-child").all_inner_texts()
    return texts


def drawn(page: Any, section: str) -> Any:
    """The plot of a section, scrolled to and made."""
    plot = page.locator(f"#{section} .plot")
    plot.scroll_into_view_if_needed()
    page.wait_for_selector(f"#{section} .plot[data-drawn]")
    return plot


def test_a_leaderboard_a_click_on_a_head_sorts(written: Path, seen: Seen) -> None:
    page = seen.open(written)
    assert page.locator("#answer .lead").inner_text() == "sgd is the best of 3 arms"
    assert rows(page, "leaderboard") == ["sgd", "adam", "lion"]
    head = page.locator("#leaderboard th", has_text="Mean")
    head.get_by_role("button").click()
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert rows(page, "leaderboard") == ["lion", "adam", "sgd"]


def test_a_filter_and_the_way_back(written: Path, seen: Seen) -> None:
    page = seen.open(written)
    assert page.locator("#matching").inner_text() == "23 runs"
    page.keyboard.press("/")
    page.keyboard.type("lion")
    expect(page.locator("#matching")).to_have_text("7 of 23 runs")
    page.locator("#clear").click()
    page.locator("#by-state").select_option("diverged")
    assert len(rows(page, "runs")) == 1
    page.locator("#by-arm").select_option("adam")
    assert "Nothing matches" in page.locator("#runs tbody").inner_text()
    page.go_back()
    assert page.locator("#by-arm").input_value() == ""
    assert len(rows(page, "runs")) == 1


def test_a_run_is_opened_by_the_keys_by_its_address_and_closed(written: Path, seen: Seen) -> None:
    page = seen.open(written)
    page.locator("#runs tbody tr").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    details = page.locator("#details")
    assert details.is_visible() and "run=sgd-1" in page.url
    assert "optbench train optimizer=sgd seed=1" in details.inner_text()
    assert "optbench train -m seed=0" in details.inner_text()
    page.keyboard.press("Escape")
    assert details.is_hidden()
    page.go_back()
    assert details.is_visible()
    page = seen.open(written, "#run=adam-3")
    assert "adam-3" in details.inner_text()
    details.locator("select").select_option(label="the best arm, sgd (sgd-0)")
    assert "optimizer._target_" in details.locator("table").first.inner_text()


def test_markup_in_a_run_is_shown_as_text(written: Path, seen: Seen) -> None:
    page = seen.open(written, "#run=lion-6")
    details = page.locator("#details")
    text = details.inner_text()
    assert text.startswith(EVIL) and f"{EVIL} a note" in text and f"{EVIL} said" in text
    assert EVIL in page.locator("#runs").inner_text()
    page.wait_for_selector("#details .plot[data-drawn]")
    page.locator("#details .plot").hover()
    details.get_by_text("All settings").click()
    assert page.evaluate("window.caught") is None
    assert page.locator("main img, aside img").count() == 0
    assert page.locator("#details script, main script").count() == 0


def test_plots_are_made_when_they_are_come_to_and_say_what_is_under_the_pointer(
    written: Path, seen: Seen
) -> None:
    page = seen.open(written)
    plot = drawn(page, "curves")
    assert plot.locator(".scatterlayer .trace").count() == 9  # a line and two sides each
    box = plot.locator(".nsewdrag").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] - 4, box["y"] + 30)
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + box["height"] * 0.08)
    label = page.locator("#curves .hovertext").first
    label.wait_for()
    assert "val/accuracy: 0.9" in label.text_content()
    assert "mean of 7 runs at step 420" in label.text_content()
    page.locator("#curves select").first.select_option("train/loss")
    page.get_by_label("single runs").check()
    expect(plot.locator(".trace")).to_have_count(30)
    page.locator("#curves .chips button", has_text="adam").click()
    expect(plot.locator(".trace")).to_have_count(20)
    for section in ("arrivals", "diagnostics"):
        assert drawn(page, section).is_visible()
    assert page.locator("#lr").is_hidden()  # each had one rate


def test_a_run_that_is_not_there(written: Path, seen: Seen) -> None:
    page = seen.open(written, "#run=nosuch")
    details = page.locator("#details")
    assert details.is_visible() and "This page has no run nosuch." in details.inner_text()
    details.get_by_role("button", name="Close").click()
    assert details.is_hidden() and "nosuch" not in page.url
    page = seen.open(written, "#run=<img src=x>")
    assert "<img src=x>" in details.inner_text()


def test_only_what_is_not_drawn_as_it_is_printed_is_drawn_for_it(written: Path, seen: Seen) -> None:
    page = seen.open(written)
    drawn(page, "diagnostics")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")  # draws the others
    page.wait_for_function("[...plots.values()].every((plot) => !plot.stale)")
    page.evaluate(
        """() => {
            window.times = 0;
            const { react } = Plotly;
            Plotly.react = (...all) => { times++; return react(...all); };
            window.printed = () => {
                times = 0;
                for (const name of ["beforeprint", "afterprint"]) dispatchEvent(new Event(name));
                return times;
            };
        }"""
    )
    page.wait_for_function("printed() === 0")  # as soon as all is drawn that was come to
    assert page.evaluate("printed()") == 0
    page.locator("#theme").click()
    page.wait_for_function("times > 0")
    assert page.evaluate("times") > 0


def test_light_and_dark(written: Path, seen: Seen) -> None:
    seen.page.emulate_media(color_scheme="dark")
    page = seen.open(written)
    back = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(back)
    page.locator("#theme").click()
    assert page.evaluate(back) == "rgb(255, 255, 255)" != dark
    page.locator("#theme").click()
    page.emulate_media(media="print")
    assert page.locator(".bar").is_hidden()


@pytest.mark.parametrize("width", [400, 1280, 1920])
def test_nothing_is_wider_than_the_window(written: Path, seen: Seen, width: int) -> None:
    seen.page.set_viewport_size({"width": width, "height": 900})
    page = seen.open(written, "#run=lion-6")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    box = page.locator("#details").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= width


def test_runs_that_can_not_be_compared_are_shown(runs: Path, tmp_path: Path, seen: Seen) -> None:
    page = seen.open(report(runs / "sgd-0", out=tmp_path / "one.html"))
    assert "Not compared: one run differs in nothing" in page.locator("#answer").inner_text()
    assert rows(page, "runs") == ["sgd-0 digits-mlp"]
    assert drawn(page, "curves").locator(".trace").count() == 1
    assert page.locator("#leaderboard").is_hidden()
