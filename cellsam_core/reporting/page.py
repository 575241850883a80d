"""The page: sections of text, pictures and tables, rendered to one HTML file."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jinja2

if TYPE_CHECKING:
    from collections.abc import Sequence

NUMBER = re.compile(r"[-+]?[\d.\u202f]*(e[-+]\d+)?%?")


@dataclass(frozen=True)
class Picture:
    """A figure: data URI and the sentence below it, which is its alternative text too."""

    uri: str
    caption: str


@dataclass(frozen=True)
class Table:
    """Sentence above, header (empty: the rows are names and values) and rows of plain values.

    `blocks` are names and widths in columns of an upper header, if there is one.
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[Any]]
    blocks: Sequence[tuple[str, int]] = ()

    def is_numeric(self, column: int) -> bool:
        """Whether a column is aligned right; names and their values, without header, are not."""
        texts = [cell(row[column]) for row in self.rows]
        return bool(self.header) and all(NUMBER.fullmatch(text) for text in texts)


@dataclass
class Section:
    """A heading and what is below it: paragraphs, then pictures, then tables."""

    title: str
    paragraphs: list[str] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)

    @property
    def anchor(self) -> str:
        """Id in the page."""
        return self.title.lower().replace(" ", "-").replace(",", "")


def cell(value: Any) -> str:
    """Text of a value: three digits of a fraction, grouped thousands, nothing where missing."""
    if value is None or value != value:  # NaN
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and not value.is_integer() and abs(value) < 100:
        return f"{value:.3g}"
    return count(value) if isinstance(value, (int, float)) else str(value)


def count(value: float) -> str:
    """Whole number with its thousands grouped by narrow spaces."""
    return f"{round(value):,}".replace(",", "\u202f")


def percent(part: int, whole: int) -> str:
    """Share with one decimal; nothing of nothing is the empty text."""
    return f"{part / whole:.1%}" if whole else ""


def render(
    title: str, subtitle: str, headline: Sequence[tuple[str, Any]], sections: Sequence[Section]
) -> str:
    """Render the page; every text is escaped, nothing is loaded from anywhere.

    Parameters
    ----------
    title, subtitle
        Sample, and what it is.
    headline
        Name and value of the figures on top.
    sections
        In order.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("cellsam_core.reporting"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["cell"] = cell
    template = environment.get_template("report.html.j2")
    return template.render(title=title, subtitle=subtitle, headline=headline, sections=sections)
