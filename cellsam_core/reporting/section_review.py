"""Section of the links and divisions that are most in doubt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellsam_core.reporting.page import Section, Table
from cellsam_core.tracking.review import advice

if TYPE_CHECKING:
    import pandas as pd

    from cellsam_core.reporting.results import Results

MAX_ROWS = 20
HEADER = ("rank", "event", "frame", "y (px)", "x (px)", "label", "tracks", "probability", "gain")


def review_section(results: Results, tracks: pd.DataFrame | None) -> Section:
    """Make the section: the events that should be checked first."""
    section = Section("What to check")
    review = results.table("3_tracks/review.csv")
    if review is None or tracks is None:
        section.paragraphs.append("There is no review.csv.")
        return section
    section.paragraphs.append(advice(review, tracks["lineage_id"].nunique()))
    if review.empty:
        return section
    shown = review.head(MAX_ROWS).drop(columns="lineages_right")
    shown["track_ids"] = shown["track_ids"].astype(str).str.replace(";", ", ")
    section.paragraphs.append(
        "Label: the object whose past is in doubt. Gain: mean number of lineages that become"
        " correct when the event is checked. Enter what is wrong in the sample's table of"
        " corrections (docs/corrections.md)."
    )
    caption = f"The first {len(shown)} of {len(review)} rows of review.csv."
    rows = list(shown.itertuples(index=False, name=None))
    section.tables.append(Table(caption, HEADER, rows))
    return section
