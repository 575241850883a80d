"""Write the table of limits in docs/verdict.md from ``cellsam_core/verdict/limits.py``.

``python tools/make_verdict_table.py``, or ``make config-table``
"""

from __future__ import annotations

from pathlib import Path

from cellsam_core.verdict.limits import LIMITS

TARGET = Path(__file__).resolve().parents[1] / "docs" / "verdict.md"
BEGIN, END = "<!-- limits: begin -->\n", "<!-- limits: end -->\n"


def table() -> str:
    """Build the table, one row a measure."""
    lines = ["| measure | samples | meaning | limits | basis |", "|---|---|---|---|---|"]
    lines += [
        f"| `{limit.name}` | {', '.join(limit.kinds)} | {limit.meaning} | {limit.say()} "
        f"| {limit.basis} |"
        for limit in LIMITS
    ]
    return "\n".join(lines) + "\n"


def with_table(text: str) -> str:
    """Put the table in the place of the one in a text."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END)[1]


if __name__ == "__main__":
    TARGET.write_text(with_table(TARGET.read_text(encoding="utf-8")), encoding="utf-8")
