"""Pages of the documentation's site that are made when it is built; a hook of MkDocs.

They are the first page (README.md), the options (config/README.md), the commands, the Python
functions and the list of changes. Links that leave ``docs/`` lead to these pages, or to the file
on the web.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import re
from pathlib import Path
from typing import Any

from cellsam_core.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
REPOSITORY = "https://github.com/cellsam-core/cellsam_core/blob/main/"
COPIES = {"index.md": "README.md", "config.md": "config/README.md", "changelog.md": "CHANGELOG.md"}
LINK = re.compile(r"(\]\()([^)#\s]+)(#[^)\s]*)?(\))")
IMPORT = re.compile(r"from \.([\w.]+) import (\w+)")


def pages() -> dict[str, str]:
    """Make all pages: name in the site and text."""
    made = {name: (ROOT / source).read_text(encoding="utf-8") for name, source in COPIES.items()}
    made = {name: relinked(text, Path(COPIES[name]).parent) for name, text in made.items()}
    return made | {"commands.md": commands_page(), "api.md": api_page()}


def relinked(text: str, folder: Path) -> str:
    """Lead the links of a page that lies in `folder` of the repository to pages of the site."""

    def lead(match: re.Match[str]) -> str:
        target = match[2]
        if "://" in target or target.startswith("mailto:"):
            return match[0]
        path = Path(*_normal(folder / target))
        copies = {source: name for name, source in COPIES.items()}
        if path.as_posix() in copies:
            place = copies[path.as_posix()]
        elif path.parts[:1] == ("docs",):
            place = Path(*path.parts[1:]).as_posix()
        else:
            place = REPOSITORY + path.as_posix()
        return f"{match[1]}{place}{match[3] or ''}{match[4]}"

    return LINK.sub(lead, text)


def _normal(path: Path) -> list[str]:
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            parts = parts[:-1]
        elif part != ".":
            parts.append(part)
    return parts


def commands_page() -> str:
    """Build the page of all commands and their options."""
    parts = ["# Commands\n\n`cellsam-core COMMAND --help` shows the same.\n"]
    for name, text in COMMANDS.items():
        parser = argparse.ArgumentParser(prog=f"cellsam-core {name}")
        module = importlib.import_module(f"cellsam_core.cli.{name.replace('-', '_')}")
        module.add_arguments(parser)
        parts.append(f"\n## `{name}`\n\n{text[0].upper()}{text[1:]}.\n")
        parts.append(arguments_table(parser))
        for group in parser._actions:
            if isinstance(group, argparse._SubParsersAction):
                for sub_name, sub in group.choices.items():
                    parts.append(f"\n### `{name} {sub_name}`\n{arguments_table(sub)}")
    return "".join(parts)


def arguments_table(parser: argparse.ArgumentParser) -> str:
    """Build the table of the arguments of one command."""
    rows = ["\n| argument | value | default | meaning |\n|---|---|---|---|\n"]
    for action in parser._actions:
        if isinstance(action, argparse._HelpAction | argparse._SubParsersAction):
            continue
        names = ", ".join(f"`{flag}`" for flag in action.option_strings) or f"`{action.dest}`"
        value = action.metavar or action.dest.upper()
        value = value if isinstance(value, str) else " ".join(value)
        if action.choices:
            value = ", ".join(map(str, action.choices))
        value = "" if action.nargs == 0 else value
        default = action.default
        shown = "" if default in (None, False, [], argparse.SUPPRESS) else f"`{default}`"
        text = (action.help or "").replace("%%", "%")
        cells = (names, value, shown, text)
        rows.append("| " + " | ".join(str(c).replace("|", "\\|") for c in cells) + " |\n")
    return "".join(rows) if len(rows) > 1 else ""


def api_page() -> str:
    """Build the page of the public functions and classes with their docstrings."""
    parts = ["# Python functions\n\n```python\nimport cellsam_core as cc\n```\n"]
    listed = (ROOT / "cellsam_core" / "__init__.pyi").read_text(encoding="utf-8")
    for module, name in IMPORT.findall(listed):
        source = (ROOT / "cellsam_core" / Path(*module.split("."))).with_suffix(".py")
        if text := docstring_of(source, name):
            parts.append(f"\n## `cc.{name}`\n\n```text\n{text}\n```\n")
    return "".join(parts)


def docstring_of(source: Path, name: str) -> str | None:
    """Read the docstring of a function or class from its file, without importing it."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.ClassDef)
    found = next((n for n in tree.body if isinstance(n, kinds) and n.name == name), None)
    return None if found is None else ast.get_docstring(found)


def on_files(files: Any, config: Any) -> Any:
    """Add the made pages to the site; MkDocs calls it."""
    from mkdocs.structure.files import File

    for name, text in pages().items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Lead links that leave ``docs/`` to pages of the site; MkDocs calls it."""
    made = getattr(page.file, "generated_by", None) is not None
    return markdown if made else relinked(markdown, Path("docs"))
