"""Documents: links lead somewhere, and the pages that the site makes are complete."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
import yaml

from cellsam_core.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("config/*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return runpy.run_path(str(ROOT / "tools" / "docs_pages.py"))["pages"]()


def anchors(path: Path) -> set[str]:
    """Anchors of the headings, as GitHub makes them."""
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings(page: Path):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    broken = []
    for target in LINK.findall(text):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            broken.append(target)
    assert broken == []


def test_every_command_and_public_name_has_its_entry(made: dict[str, str]):
    commands = re.findall(r"^## `([\w-]+)`$", made["commands.md"], flags=re.MULTILINE)
    assert commands == list(COMMANDS)
    assert "`--division-min-symmetry`" in made["commands.md"]
    public = re.findall(r"^## `cc\.(\w+)`$", made["api.md"], flags=re.MULTILINE)
    assert {"inspect", "segment", "track", "trace", "assign", "report", "Results"} <= set(public)


def test_links_of_the_site_stay_in_the_site(made: dict[str, str]):
    pages = {*made, *(path.name for path in ROOT.glob("docs/*.md"))}
    pages |= {path.name for path in ROOT.glob("docs/*.ipynb")}
    for name in ("index.md", "config.md"):
        for target in LINK.findall(made[name]):
            page = target.partition("#")[0]
            is_file = (ROOT / "docs" / page).exists()
            assert "://" in target or target[0] == "#" or page in pages or is_file, (name, target)


def test_the_menu_lists_pages_that_exist(made: dict[str, str]):
    def pages_of(item: object) -> list[str]:
        values = item.values() if isinstance(item, dict) else item
        return [p for v in values for p in ([v] if isinstance(v, str) else pages_of(v))]

    menu = pages_of(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"])
    there = {*made, *(p.name for p in ROOT.glob("docs/*.md"))}
    there |= {p.name for p in ROOT.glob("docs/*.ipynb")}
    assert set(menu) == there  # a page that the menu lacks fails the site, too
    assert len(menu) == len(set(menu))
