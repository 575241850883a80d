"""Section of cells and transcripts over the stain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cellsam_core.reporting.figures import spatial as draw
from cellsam_core.reporting.figures.common import encode
from cellsam_core.reporting.page import Picture, Section, count
from cellsam_core.reporting.pictures.images import Window, overlay, read_window, window_around
from cellsam_core.reporting.sections.stains import stain_words
from cellsam_core.reporting.sections.transcript_summary import MAX_SPOTS, TranscriptSummary

if TYPE_CHECKING:
    import pandas as pd

    from cellsam_core.reporting.results import Results


ZOOM_SIDES_PX = (1000, 250)
STAIN_BRIGHTNESS = 0.6  # transcripts are to stand out
NO_TRANSCRIPTS = "There is no 3_cells/transcripts.parquet."


def zoom_windows(results: Results, cells: pd.DataFrame | None) -> list[Window]:
    """Choose windows: the whole image, and two about the cell with most transcripts."""
    shape = results.manifest.shape_yx
    windows = [window_around(shape)]
    if cells is None or cells.empty:
        return windows
    inner = cells[~cells["touches_border"].fillna(False).to_numpy(bool)]
    pool = inner if len(inner) else cells
    richest = pool.iloc[int(np.argmax(pool["n_transcripts"].to_numpy()))]
    for side in ZOOM_SIDES_PX:
        if side < max(shape):
            windows.append(window_around(shape, (richest["y"], richest["x"]), side))
    return windows


def overlay_panels(
    results: Results, windows: list[Window], summary: TranscriptSummary | None
) -> list[draw.Panel]:
    """Draw outlines over the stain, with transcripts, in each window; none without masks."""
    image, masks = results.image(), results.masks()
    if image is None or masks is None:
        return []
    channel = len(image.channels) - 1
    no_spots = draw.Spots(np.zeros((0, 2)), np.zeros(0, dtype=object))
    spots = [no_spots] * len(windows) if summary is None else summary.spots
    names = ["whole image", "around the cell with most transcripts", "the same, closer"]
    return [
        draw.Panel(
            name,
            overlay(
                read_window(image, 0, channel, window),
                read_window(masks, 0, 0, window),
                brightness=STAIN_BRIGHTNESS,
            ),
            window,
            here,
        )
        for name, window, here in zip(names, windows, spots, strict=False)
    ]


def overlay_section(
    results: Results, windows: list[Window], summary: TranscriptSummary | None
) -> Section:
    """Make the section of outlines over the stain, with transcripts."""
    section = Section("Cells and transcripts over the stain")
    panels = overlay_panels(results, windows, summary)
    image = results.image()
    if not panels or image is None:
        section.paragraphs.append(
            "There is no 1_preprocessed/frames.zarr or no 2_masks/masks.zarr, so no outline is "
            "drawn over a stain."
        )
        return section
    uri = encode(lambda: draw.figure_zooms(panels, results.units), photograph=True)
    caption = (
        f"Cell outlines over {stain_words(results)}; transcripts as dots: the most "
        "frequent genes in colour, all others white. Pictures with more than "
        f"{count(MAX_SPOTS)} transcripts show an even part of them."
    )
    section.pictures.append(Picture(uri, caption))
    if summary is None:
        section.paragraphs.append(NO_TRANSCRIPTS)
    return section
