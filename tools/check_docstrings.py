"""Refuse docstrings that are no statements: ``python tools/check_docstrings.py [PATH ...]``.

Two habits are refused, since both make a reader guess the noun: docstrings that are indirect
questions ("Whether the cell divides.") and texts of parameters or attributes that begin with
"Of ..." ("Of the plane." where "Shape of the plane, px." is meant).
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parents[1]
QUESTION = re.compile(
    r"(what|which|whether|how|where|when|why|who|whose"
    r"|is|are|was|were|does|do|did|has|have|can|could|should|may|must|will)\b",
    re.IGNORECASE,
)
UNDERLINE = re.compile(r"-{3,}")

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


class Hit(NamedTuple):
    """One text that breaks a rule.

    Attributes
    ----------
    line
        Line of the file, from 1.
    rule
        Sentence that says what is wrong.
    text
        First line of the text.
    """

    line: int
    rule: str
    text: str


def check(source: str) -> list[Hit]:
    """Find the docstrings of a file that break a rule.

    Parameters
    ----------
    source
        Text of a Python file.

    Returns
    -------
    list of Hit
        Sorted by line.
    """
    hits: list[Hit] = []
    for node in docstrings(ast.parse(source)):
        lines = inspect.cleandoc(node.value).splitlines() or [""]
        summary = " ".join(lines[: lines.index("") if "" in lines else len(lines)])
        if QUESTION.match(summary) or summary.endswith("?"):
            hits.append(Hit(node.lineno, "docstring is a question, say it as a noun", lines[0]))
        if summary.startswith("Of "):
            hits.append(Hit(node.lineno, 'text begins with "Of", name the noun', lines[0]))
        hits += [
            Hit(node.lineno + i, 'text begins with "Of", name the noun', lines[i].strip())
            for i in first_lines_of_items(lines)
            if lines[i].strip().startswith("Of ")
        ]
    return sorted(hits)


def docstrings(tree: ast.AST) -> Iterator[ast.Constant]:
    """Yield docstrings of modules, classes, functions and attributes, as nodes."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if not isinstance(body, list):
            continue
        if isinstance(node, Documented) and body and (text := _text(body[0])):
            yield text
        # A string below an assignment documents what is assigned.
        for before, after in pairwise(body):
            if isinstance(before, ast.Assign | ast.AnnAssign) and (text := _text(after)):
                yield text


def _text(node: ast.AST) -> ast.Constant | None:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return node.value if isinstance(node.value.value, str) else None
    return None


def first_lines_of_items(lines: Sequence[str]) -> list[int]:
    """Find where the texts of parameters, attributes and returned values begin.

    Parameters
    ----------
    lines
        Lines of a docstring in numpydoc's form, without its common indentation.

    Returns
    -------
    list of int
        Indices of lines.
    """
    underlines = [i for i, line in enumerate(lines) if UNDERLINE.fullmatch(line)]
    start = underlines[0] if underlines else len(lines)
    return [
        i
        for i in range(start + 1, len(lines))
        if lines[i].startswith(" ") and lines[i - 1].strip() and not lines[i - 1].startswith(" ")
    ]


def main(arguments: Sequence[str]) -> int:
    """Print the hits of files or folders, by default of the package; return the exit status."""
    n_hits = 0
    for path in [Path(text) for text in arguments] or [ROOT / "cellsam_core"]:
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            for hit in check(file.read_text(encoding="utf-8")):
                print(f"{file}:{hit.line}: {hit.rule}: {hit.text}")
                n_hits += 1
    if n_hits:
        print(f"{n_hits} texts to rewrite", file=sys.stderr)
    return int(n_hits > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
