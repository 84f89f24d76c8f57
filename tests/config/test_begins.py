"""What every config file begins with."""

from pathlib import Path

from optbench.compose.paths import description_of

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*/*.yaml"))


def begins_with_its_description(path: Path) -> bool:
    lines = [
        line for line in path.read_text(encoding="utf-8").splitlines() if "@package" not in line
    ]
    more = path.parent.name in ("optimizer", "recipe", "wrapper")
    begin = "_about_:\n  description: " if more else "# "
    long_enough = len(description_of(path)["description"]) > len("a word")
    return "\n".join(lines).startswith(begin) and long_enough


def test_a_config_begins_with_its_description() -> None:
    assert len(CONFIGS) > 100
    assert [str(path) for path in CONFIGS if not begins_with_its_description(path)] == []


def test_every_group_of_configs_has_choices() -> None:
    groups = {path.parent.name for path in CONFIGS}
    assert groups == {path.name for path in (ROOT / "configs").iterdir() if path.is_dir()}
