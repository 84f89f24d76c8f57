"""What is published: by today's rules, or the page says why not; and the pages have it all."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from optbench.claims.asked import claim_of
from optbench.claims.published import adjusted, published_folder
from optbench.claims.told import rule_text
from optbench.compose.composer import hydra_session
from optbench.files import load_json

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "textbook"
PUBLISHED = sorted(published_folder().glob("*.json"))


def page_maker(name: str) -> ModuleType:
    """One of the two scripts that write the pages."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_a_published_verdict_is_by_the_rule_that_stands(path: Path) -> None:
    with hydra_session() as composer:
        claim = claim_of(composer, path.stem)
    said = load_json(path)
    same = said["fixed"] == claim.fixed
    assert same or claim.changed, "the rule was changed after the run: say why under `changed`"
    assert said["budget"] == "full" and said["as_published"]
    page = (PAGES / f"{claim.section[0]}.md").read_text(encoding="utf-8")
    assert f"**Verdict: {said['said']}**" in page and claim.would_change in page
    assert claim.changed in page
    for case in said["cases"]:
        assert all(rule_text(rule, said["drawn"]) in page for rule in case["rules"])
    assert not said["picture"] or (PAGES / "images" / f"{path.stem}.png").is_file()


def test_the_index_links_to_sections_that_are_there() -> None:
    index = (PAGES / "README.md").read_text(encoding="utf-8")
    for page, name in re.findall(r"\]\((\d\.\d\.md)#(\w+)\)", index):
        assert f"\n## {name}\n" in (PAGES / page).read_text(encoding="utf-8")
    assert all(f"[{path.stem}](" in index for path in PUBLISHED)


def outcome(claim: Any, **more: Any) -> dict[str, Any]:
    said = {
        **{"claim": claim.name, "verdict": "holds", "said": "holds", "p": 0.03, "budget": "full"},
        **{"fixed": claim.fixed, "as_published": True, "drawn": True, "picture": "claim.png"},
        **{"command": "optbench claim x", "runs": 3, "seeds": [0, 1], "seconds": 2.0},
        **{"date": "2000-01-01 00:00 UTC", "begun": "2000-01-01 00:00 UTC"},
        **{"hardware": {"cores": 2, "processor": "one"}},
        **{"versions": {"optbench": "0", "torch": "2", "python": "3"}},
        "cases": [],
    }
    return {**said, **more}


def test_a_page_says_when_a_rule_was_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    maker = page_maker("textbook_pages")
    with hydra_session() as composer:
        claim = claim_of(composer, "noise_variance")
    changed = replace(claim, changed="five per cent were too many")
    made = maker.pages({claim.name: changed}, {claim.name: outcome(claim)})
    assert set(made) == {"README.md", "1.4.md"}
    assert "changed once it had been fixed:** five per cent were too many" in made["1.4.md"]
    assert "1 claim: 1 holds" in made["README.md"]


def test_what_was_run_before_its_rule_is_not_published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    script = page_maker("textbook")
    with hydra_session() as composer:
        claim = claim_of(composer, "noise_variance")
    assert "was not committed before the run" in script.why_not(claim, outcome(claim))
    assert "another than the one" in script.why_not(claim, outcome(claim, fixed="other"))
    assert "not the full run" in script.why_not(claim, outcome(claim, budget="quick"))


def test_holm_is_over_those_that_rest_on_a_test() -> None:
    said = [{"claim": "a", "p": 0.01}, {"claim": "b", "p": 0.04}, {"claim": "c", "p": None}]
    assert adjusted(said) == {"a": 0.02, "b": 0.04}
    assert adjusted([]) == {}
