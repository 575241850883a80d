"""Section of the user's corrections of cells: how many were carried out, and which were not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellsam_core.reporting.page import Section, Table

if TYPE_CHECKING:
    from cellsam_core.reporting.results import Results

MAX_ROWS = 50
COLUMNS = ["row", "operation", "frame", "reason"]
HEADER = ("row of your table", "operation", "frame", "why it was not carried out")


def corrections_sections(results: Results) -> list[Section]:
    """Make the section, if the sample has a table of corrections of cells.

    Parameters
    ----------
    results
        Results of the sample.

    Returns
    -------
    list of Section
        One section, or none.
    """
    table = results.table("2_masks/corrected/corrections.csv", [*COLUMNS, "found"])
    if table is None:
        return []
    lost = table[table["found"] == "no"]
    section = Section("Corrections of cells")
    section.paragraphs.append(
        f"{len(table) - len(lost)} of {len(table)} corrections of your table were carried out."
    )
    if len(lost):
        section.paragraphs.append(
            "The cells of the rows below were not found in these masks. Look at their places, and"
            " correct or remove the rows (docs/corrections.md)."
        )
        shown = lost[COLUMNS].fillna("").head(MAX_ROWS)
        rows = list(shown.itertuples(index=False, name=None))
        caption = f"The first {len(rows)} of {len(lost)} rows that were not carried out."
        section.tables.append(Table(caption, HEADER, rows))
    return [section]
