"""The pages of docs/textbook: one of each section of the text, and an index, from outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from optbench.claims.claim import Claim
from optbench.claims.published import adjusted
from optbench.claims.told import order, rule_text
from optbench.config.counted import counted

SECTIONS = {
    "1.3": "Optimization landscape",
    "1.4": "Stochastic vs batch optimization",
    "1.5": "Key optimization principles",
    "2.2": "SGD properties",
    "2.3": "Batch size effects",
    "2.4": "Learning rate selection",
    "2.5": "SGD variants",
    "3.1": "Classical momentum",
    "3.2": "Nesterov accelerated gradient",
    "3.3": "Momentum analysis",
    "3.4": "Heavy ball method",
    "4.1": "Adagrad",
    "4.2": "RMSprop",
    "4.3": "Adam",
    "4.4": "Adam variants",
    "4.5": "Adaptive method analysis",
    "5.1": "Adagrad variants",
    "5.2": "Second-order methods",
    "5.3": "Natural gradients",
    "5.4": "Gradient-free methods",
    "5.5": "Meta-learning optimizers",
    "6.1": "Why learning rate scheduling",
    "6.2": "Step decay",
    "6.3": "Exponential decay",
    "6.4": "Cosine annealing",
    "6.5": "Polynomial decay",
    "6.6": "Adaptive schedules",
    "6.7": "Warmup strategies",
    "6.8": "Advanced scheduling",
    "7.1": "Optimizer selection guidelines",
    "7.2": "Hyperparameter tuning",
    "7.3": "Monitoring training",
    "7.4": "Common optimization problems",
    "7.5": "Debugging optimization",
    "7.6": "Optimization best practices",
    "8.2": "Advanced training loops",
    "8.6": "Distributed optimization",
    "8.7": "Memory-efficient optimization",
}
"""Of the text, with their titles."""
MADE = "<!-- made by scripts/textbook.py -->"
Outcomes = Mapping[str, Mapping[str, Any]]


def pages(claims: Mapping[str, Claim], outcomes: Outcomes) -> dict[str, str]:
    """Return each page by its file's name.

    Args:
        claims: by name.
        outcomes: what was published of them, by name.
    """
    known = sorted((claims[name] for name in outcomes), key=order)
    corrected = adjusted(outcomes.values())
    by_section: dict[str, list[Claim]] = {}
    for claim in known:
        by_section.setdefault(claim.section[0], []).append(claim)
    found = {"README.md": _index(known, outcomes, corrected)}
    for section, there in by_section.items():
        texts = [_claim(claim, outcomes[claim.name], corrected) for claim in there]
        title = f"# {section} {SECTIONS.get(section, '')}".rstrip()
        also = [claim for claim in known if section in claim.section[1:]]
        more = [f"\nSee also [{claim.name}]({_link(claim)}).\n" for claim in also]
        found[f"{section}.md"] = "\n".join([MADE, title, "", *texts, *more])
    return found


def _link(claim: Claim) -> str:
    return f"{claim.section[0]}.md#{claim.name}"


def _index(claims: Sequence[Claim], outcomes: Outcomes, corrected: Mapping[str, float]) -> str:
    lines = [
        MADE,
        "# The textbook, tested",
        "",
        "Sentences of a textbook on optimization, each as an experiment whose rule was fixed "
        "before its run; [what a verdict is](../claims.md). `optbench claim NAME budget=full` "
        "runs one anew.",
        "",
        "| section | claim | the sentence | verdict | p | p (Holm) |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for claim in claims:
        said = outcomes[claim.name]
        p = "" if said["p"] is None else f"{said['p']:.2g}"
        by_holm = f"{corrected[claim.name]:.2g}" if claim.name in corrected else ""
        link, sections = f"[{claim.name}]({_link(claim)})", ", ".join(claim.section)
        cells = [sections, link, claim.sentence.replace("|", r"\|"), said["said"], p, by_holm]
        lines.append(f"| {' | '.join(cells)} |")
    counts: dict[str, int] = {}
    for said in outcomes.values():
        counts[str(said["verdict"])] = counts.get(str(said["verdict"]), 0) + 1
    told = ", ".join(f"{many} {word}" for word, many in sorted(counts.items()))
    lines += [
        "",
        f"{counted(len(claims), 'claim')}: {told}. p (Holm) is corrected for the verdicts that "
        f"rest on a test ({len(corrected)}); the others are of functions without noise.",
        "",
    ]
    return "\n".join(lines)


def _claim(claim: Claim, said: Mapping[str, Any], corrected: Mapping[str, float]) -> str:
    """Return what the page of its section says of a claim."""
    lines = [
        f"## {claim.name}",
        "",
        f"> {claim.sentence}",
        "",
        f"**Verdict: {said['said']}**{_p_text(claim, said, corrected)}",
        "",
        f"{claim.question} ({claim.source}.)",
        "",
        *([f"![{claim.name}](images/{claim.name}.png)", ""] if said["picture"] else []),
    ]
    for case in said["cases"]:
        head = f"{case['name']}: " if case["name"] else ""
        lines += [f"- {head}{rule_text(rule, said['drawn'])}" for rule in case["rules"]]
        lines += [f"- {head}{note}" for note in case["notes"]]
    hardware, versions = said["hardware"], said["versions"]
    lines += [
        "",
        f"**Conditions.** {claim.conditions}",
        "",
        f"**What would change our mind.** {claim.would_change}",
        "",
        f"**Again:** `{said['command']}`: {said['runs']} runs, {_seeds_text(said)}, "
        f"{said['seconds']:.0f} s on {hardware['cores']} cores of {hardware['processor']}, "
        f"optbench {versions['optbench']}, torch {versions['torch']}, Python {versions['python']}, "
        f"{said['date']}. Its rule (`configs/claim/{claim.name}.yaml`, checksum {said['fixed']}) "
        f"was committed before: `git log configs/claim/{claim.name}.yaml`.",
        "",
    ]
    if claim.changed:
        lines += [f"**The rule was changed once it had been fixed:** {claim.changed}", ""]
    return "\n".join(lines)


def _p_text(claim: Claim, said: Mapping[str, Any], corrected: Mapping[str, float]) -> str:
    if said["p"] is None:
        return ""
    return f" (p {said['p']:.2g}; corrected for all claims {corrected[claim.name]:.2g})"


def _seeds_text(said: Mapping[str, Any]) -> str:
    seeds = said["seeds"]
    return f"seeds {seeds[0]} to {seeds[-1]}" if said["drawn"] else "nothing is drawn"


def write(folder: Path, made: Mapping[str, str]) -> None:
    """Write pages; those of sections that have none any more go."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.md"):
        if path.name not in made and path.read_text(encoding="utf-8").startswith(MADE):
            path.unlink()
    for name, text in made.items():
        (folder / name).write_text(text.rstrip("\n") + "\n", encoding="utf-8")
