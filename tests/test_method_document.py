"""References to the method's document lead to sections and items that exist, and the keys it names are keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from fail2fix.run.config import Fail2FixConfig

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "fail2fix" / "METHOD.md"
HEADINGS = re.findall(r"^#{2,3} (.+)$", DOCUMENT.read_text("utf-8"), re.M)
NAMES = {re.sub(r"^\d\. ", "", heading) for heading in HEADINGS}
ITEMS = {int(heading[0]) for heading in HEADINGS if heading[0].isdigit()}
ANCHORS = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in HEADINGS}
SUFFIXES = {".py", ".yaml", ".yml", ".md", ".sh", ".toml", ".jinja"}
REFERENCE = re.compile(
    r"METHOD\.md"
    r'(?:, items? (?P<item>\d+)(?: and (?P<second>\d+))?|, "(?P<name>[^"]+)"|#(?P<anchor>[\w-]+))?'
)


def references() -> Iterator[tuple[str, re.Match[str]]]:
    """Every mention of the document by path, read across line breaks and comment signs."""
    folders = [ROOT / name for name in ("fail2fix", "configs", "scripts", "tests")]
    files = [path for folder in folders for path in folder.rglob("*") if path.suffix in SUFFIXES]
    for path in [*files, ROOT / "README.md"]:
        if path not in (DOCUMENT, Path(__file__)):
            text = re.sub(r"\s*\n\s*(?:#\s*)?", " ", path.read_text("utf-8"))
            yield from ((str(path.relative_to(ROOT)), match) for match in REFERENCE.finditer(text))


def test_every_reference_leads_to_a_section() -> None:
    found = list(references())
    assert sum(any(match.groups()) for _, match in found) >= 30
    for path, match in found:
        where = f"{path}: {match[0]}"
        assert {int(item) for item in match.group("item", "second") if item} <= ITEMS, where
        assert match["name"] is None or match["name"] in NAMES, where
        assert match["anchor"] is None or match["anchor"] in ANCHORS, where


def test_a_step_has_the_items_that_the_trainer_names() -> None:
    trainer = (ROOT / "fail2fix" / "verl_ext" / "trainer.py").read_text("utf-8")
    assert sorted(ITEMS) == list(range(1, 8))
    assert {int(item) for item in re.findall(r"  # (\d)\b", trainer)} <= ITEMS


def keys(section: object, prefix: str = "") -> Iterator[str]:
    """Every key of our section, sections included."""
    for field in fields(section):  # type: ignore[arg-type]
        value = getattr(section, field.name)
        yield f"{prefix}{field.name}"
        if is_dataclass(value):
            yield from keys(value, f"{prefix}{field.name}.")


def test_the_keys_that_it_names_exist() -> None:
    known = set(keys(Fail2FixConfig()))
    sections = "|".join(key for key in known if is_dataclass(getattr(Fail2FixConfig(), key, None)))
    named = set(re.findall(rf"`((?:{sections})\.[a-z_0-9.]+)", DOCUMENT.read_text("utf-8")))
    assert len(named) >= 20
    assert named <= known


@pytest.mark.parametrize("marker", ["paper", "F2F", "ours"])
def test_markers_are_defined_once(marker: str) -> None:
    assert DOCUMENT.read_text("utf-8").count(f"**({marker})**") == 1
