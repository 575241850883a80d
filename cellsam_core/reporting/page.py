"""HTML page of sections with text, pictures and tables."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jinja2

from cellsam_core.verdict.checks import SYMBOLS, WORDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cellsam_core.verdict.checks import Verdict

NUMBER = re.compile(r"[-+]?[\d.\u202f]*(e[-+]\d+)?%?")


@dataclass(frozen=True)
class Picture:
    """Figure: data URI and the sentence below it, which is also its alternative text.

    `anchor` is its id in the page, and `back` that of the row of a table that it belongs to.
    """

    uri: str
    caption: str
    anchor: str = ""
    back: str = ""


@dataclass(frozen=True)
class Table:
    """Table: sentence above, header, and rows of plain values.

    Without a header, the rows are names and values. `blocks` are names and widths in columns of an
    upper header, if there is one. `anchor` and the number of a row, joined by a hyphen, are the id
    of the row; `links` are the ids of pictures that the first column of a row leads to.
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[Any]]
    blocks: Sequence[tuple[str, int]] = ()
    anchor: str = ""
    links: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.header and any(len(row) != len(self.header) for row in self.rows):
            raise ValueError(f"rows of another length than the header {self.header}")

    def is_numeric(self, column: int) -> bool:
        """Tell whether a column holds numbers, which are aligned right; never without a header."""
        texts = [cell(row[column]) for row in self.rows]
        return bool(self.header) and all(NUMBER.fullmatch(text) for text in texts)


@dataclass
class Section:
    """Section: heading, paragraphs, pictures, small pictures and tables, in this order.

    With `folded`, the tables are shown when the reader clicks on these words.
    """

    title: str
    paragraphs: list[str] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    gallery: list[Picture] = field(default_factory=list)
    folded: str = ""

    @property
    def anchor(self) -> str:
        """Id of the section in the page."""
        return self.title.lower().replace(" ", "-").replace(",", "")


def cell(value: Any) -> str:
    """Format a value: three significant digits, grouped thousands, nothing for a missing value."""
    if value is None or value != value:  # NaN
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and not value.is_integer() and abs(value) < 100:
        return f"{value:.3g}"
    return count(value) if isinstance(value, (int, float)) else str(value)


def count(value: float) -> str:
    """Format a whole number, with its thousands grouped by narrow spaces."""
    return f"{round(value):,}".replace(",", "\u202f")


def percent(part: int, whole: int) -> str:
    """Format a share as a percentage with one decimal; empty if the whole is 0."""
    return f"{part / whole:.1%}" if whole else ""


def render(
    title: str,
    subtitle: str,
    headline: Sequence[tuple[str, Any]],
    sections: Sequence[Section],
    verdict: Verdict | None = None,
) -> str:
    """Render the page; every text is escaped, and the page loads nothing from elsewhere.

    Parameters
    ----------
    title, subtitle
        Name of the sample, and its description.
    headline
        Names and values of the figures at the top.
    sections
        Sections in their order.
    verdict
        Verdict, shown above the sections; a page may have none.
    """
    template = environment().get_template("report.html.j2")
    return template.render(
        title=title,
        subtitle=subtitle,
        headline=headline,
        sections=sections,
        verdict=verdict,
    )


@functools.cache
def environment() -> jinja2.Environment:
    """Return the templates of the pages; every text is escaped."""
    found = jinja2.Environment(
        loader=jinja2.PackageLoader("cellsam_core.reporting"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    found.filters["cell"] = cell
    found.globals |= {"words": WORDS, "symbols": SYMBOLS}
    return found
