"""Write docs/refusals.md from the code: every refusal, its remedy, and the tests that meet it.

``python tools/make_refusals_table.py``, or ``make config-table``
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "refusals.md"
LEAST_LETTERS = 14
"""A shorter text that a test expects, or one without a blank, may be part of any refusal."""
MAX_TESTS = 2

HEAD = """\
<!-- made from the code: `make config-table` -->
# Refusals

Data that can't be used are refused with one sentence: *where: found ..., expected ...; remedy.*
This page lists every refusal in the code. `…` stands for a part that depends on the data.

A test is listed if several words that it expects are a part of the refusal. Tests that follow the
remedy and find that it works go on after the refusal. A dash means that no such words were found:
the refusal may still be met by a test.
"""


class Refusal(NamedTuple):
    """One place in the code that refuses data."""

    module: str
    found: str
    expected: str
    remedy: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes an entry of the page."""
        return self.module, self.expected, self.remedy


def template(node: ast.expr | None) -> str:
    """Return a text of the code with ``…`` for each part that is computed."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(template(part) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return template(node.left) + template(node.right)
    if isinstance(node, ast.IfExp):
        return f"{template(node.body)} | {template(node.orelse)}"
    return "…"


def refusals() -> list[Refusal]:
    """Find all refusals, in the order of files and lines."""
    found = []
    for path in sorted((ROOT / "cellsam_core").rglob("*.py")):
        module = path.relative_to(ROOT / "cellsam_core").as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = getattr(node, "func", None)
            if (
                isinstance(node, ast.Call)
                and isinstance(name, ast.Name)
                and name.id == "InputError"
            ):
                parts = {word.arg: template(word.value) for word in node.keywords}
                if parts.keys() >= {"found", "expected", "remedy"}:
                    texts = (parts[key] for key in ("found", "expected", "remedy"))
                    found.append(Refusal(module, *texts))
    return list(dict.fromkeys(found))


def expectations() -> list[tuple[str, list[str]]]:
    """List the tests with the texts that they expect in messages."""
    listed = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
                continue
            # Words of a pattern between its special characters.
            texts = [
                piece.replace("\\", "").strip()
                for text in _expected_texts(node)
                for piece in re.split(r"\.\*|\\d\+?|\\S\+|[|()\[\]+*?]", text)
            ]
            long = [text for text in texts if len(text) >= LEAST_LETTERS and " " in text]
            listed.append((f"{path.stem}::{node.name}", long))
    return listed


def _expected_texts(test: ast.FunctionDef) -> list[str]:
    """List the texts of ``match=``, of comparisons with ``in``, and of parameters of a test."""
    places: list[ast.AST] = [*test.decorator_list]
    for node in ast.walk(test):
        if isinstance(node, ast.keyword) and node.arg == "match":
            places.append(node.value)
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In):
            places.append(node.left)
    return [
        part.value
        for place in places
        for part in ast.walk(place)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    ]


def page() -> str:
    """Build the whole of docs/refusals.md."""
    tests = expectations()
    rows, module = [HEAD], ""
    for refusal in refusals():
        if refusal.module != module:
            module = refusal.module
            rows.append(
                f"\n## {module}\n\n| found | expected | remedy | tests |\n|---|---|---|---|\n"
            )
        sentence = f"found {refusal.found}, expected {refusal.expected}; {refusal.remedy}."
        names = [name for name, texts in tests if any(text in sentence for text in texts)]
        shown = ", ".join(f"`{name}`" for name in names[:MAX_TESTS]) or "-"
        cells = (refusal.found, refusal.expected, refusal.remedy, shown)
        rows.append(f"| {' | '.join(cell_text(cell) for cell in cells)} |\n")
    return "".join(rows)


def cell_text(text: str) -> str:
    """Make a text fit for a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
