"""Write docs/refusals.md from the code: every refusal, its remedy, and the tests that meet it.

``python tools/make_refusals_table.py``, or ``make config-table``
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "refusals.md"
RECORD = ROOT / "tests" / "refusals.tsv"
MET, FOLLOWED = "met", "followed"
MAX_TESTS = 2

HEAD = """\
<!-- made from the code and from tests/refusals.tsv: `make config-table` -->
# Refusals

Data that can't be used are refused with one sentence: *where: found ..., expected ...; remedy.*
This page lists every refusal in the code. `…` stands for a part that depends on the data.

Column *met by*: tests in which the code refuses. Column *followed by*: tests that then do what the
remedy says, and see that it works. Both are recorded while the tests run
(`pytest --record-refusals`), and a run in which a test no longer does so ends with an error. A dash
means that no test does, or that only the end of another process shows it. Words in italics say why
a remedy is not followed.
"""
REASONS = (
    (r"pip install|is not installed", "needs another environment"),
    (r"^segmentation/(fetch|backends)", "needs the service of the authors, or a model of others"),
    (r"\bGPU\b|nvidia-smi", "needs another machine"),
    (r"^segmentation/vit_b", "needs the published weights, which the authors give"),
    (r"^exports/xenium_explorer", "needs the package sopa; test_exports uses it where it is"),
    (
        r"^files/bioio_files",
        "needs a microscope's own file; test_bioio_files reads those that can be written",
    ),
    (r"wait until|permissions|--port", "needs another process or disk; test_faults meets them"),
    (
        r"^viewer/|cellsam-core view",
        "is done on the page; test_view_page and test_view_work use it",
    ),
    (
        r"run the workflow|run again|cellsam-core decode|segment what is missing",
        "is a run of the workflow",
    ),
    (r"with one of these names", "is asked before, by samples/positions.py"),
    (r"report this", "is no action on data"),
)
"""Pattern of place and remedy, and why a remedy of this kind is not followed by a test."""


class Refusal(NamedTuple):
    """One place in the code that refuses data."""

    module: str
    found: str
    expected: str
    remedy: str
    place: str
    first_line: int
    last_line: int

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
    return [
        refusal
        for path in sorted((ROOT / "cellsam_core").rglob("*.py"))
        for refusal in calls_in(path)
    ]


def calls_in(path: Path) -> list[Refusal]:
    """Find the refusals of one module, in the order of lines."""
    module = path.relative_to(ROOT / "cellsam_core").as_posix()
    found: list[Refusal] = []
    counts: defaultdict[str, int] = defaultdict(int)

    def visit(node: ast.AST, within: str) -> None:
        for child in ast.iter_child_nodes(node):
            name = within
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                name = f"{within}.{child.name}".lstrip(".")
            if isinstance(child, ast.Call) and (texts := _texts(child)):
                counts[name] += 1
                place = f"{module}:{name}:{counts[name]}"
                last = child.end_lineno or child.lineno
                found.append(Refusal(module, *texts, place, child.lineno, last))
            visit(child, name)

    visit(ast.parse(path.read_text(encoding="utf-8")), "")
    return sorted(found, key=lambda refusal: refusal.first_line)


def _texts(call: ast.Call) -> tuple[str, str, str] | None:
    """Return found, expected and remedy of a call that makes an error; None for another call."""
    name = getattr(call.func, "id", "")
    parts = {word.arg: template(word.value) for word in call.keywords}
    keys = ("found", "expected", "remedy")
    if name == "InputError" and parts.keys() >= set(keys):
        texts = parts["found"], parts["expected"], parts["remedy"]
        return texts if set(texts) != {"…"} else None  # a helper, whose callers are listed
    if name == "error" and len(call.args) == len(keys) + 1:
        found, expected, remedy = map(template, call.args[1:])
        return found, expected, remedy
    return None


def read_record() -> set[tuple[str, str, str]]:
    """Read place, test, and ``met`` or ``followed``."""
    lines = RECORD.read_text(encoding="utf-8").splitlines() if RECORD.exists() else []
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return {(place, test, kind) for place, test, kind in rows}


def write_record(rows: set[tuple[str, str, str]]) -> None:
    """Write the record, sorted."""
    head = "# Made by `pytest --record-refusals`: place in the code, test, kind\n"
    RECORD.write_text(
        head + "".join("\t".join(row) + "\n" for row in sorted(rows)), encoding="utf-8"
    )


def page() -> str:
    """Build the whole of docs/refusals.md."""
    tests: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for place, test, kind in sorted(read_record()):
        tests[place, kind].append(f"`{test}`")
    found = refusals()
    n_met, n_followed = (sum((r.place, kind) in tests for r in found) for kind in (MET, FOLLOWED))
    others = [r for r in found if (r.place, FOLLOWED) not in tests]
    n_why = sum(reason(r) != "-" for r in others)
    rows = [
        HEAD,
        f"\n{len(found)} refusals: {n_met} met by tests, {n_followed} remedies followed by tests, "
        f"{n_why} not followed for the reason given, {len(others) - n_why} not yet.\n",
    ]
    module = ""
    for refusal in found:
        if refusal.module != module:
            module = refusal.module
            rows.append(
                f"\n## {module}\n\n| found | expected | remedy | met by | followed by |\n"
                "|---|---|---|---|---|\n"
            )
        shown = [", ".join(tests[refusal.place, k][:MAX_TESTS]) or "-" for k in (MET, FOLLOWED)]
        shown[1] = reason(refusal) if shown[1] == "-" else shown[1]
        cells = (refusal.found, refusal.expected, refusal.remedy, *shown)
        rows.append(f"| {' | '.join(cell_text(cell) for cell in cells)} |\n")
    return "".join(rows)


def reason(refusal: Refusal) -> str:
    """Say why the remedy is not followed by a test; a dash if there is no good reason."""
    text = f"{refusal.place} {refusal.remedy}"
    found = next((why for pattern, why in REASONS if re.search(pattern, text)), None)
    return f"*{found}*" if found else "-"


def cell_text(text: str) -> str:
    """Make a text fit for a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
