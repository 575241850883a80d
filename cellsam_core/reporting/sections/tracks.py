"""Sections of the tracks, of cells and divisions over time, and of lineages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cellsam_core.reporting.figures import tracks as draw
from cellsam_core.reporting.figures.common import encode
from cellsam_core.reporting.page import Picture, Section, Table
from cellsam_core.reporting.pictures.images import read_window, stretch, window_around

if TYPE_CHECKING:
    import pandas as pd

    from cellsam_core.reporting.results import Results
    from cellsam_core.reporting.units import Units


MAX_LINEAGES = 30
MAX_DIVISION_ROWS = 100
NO_TRACKS = "There are no tracks: "
SINGLE_FRAME = "The movie has a single frame"


def tracks_section(
    results: Results, objects: pd.DataFrame | None, tracks: pd.DataFrame | None
) -> Section:
    """Make the section of tracks: paths over the last frame, and their lengths."""
    section = Section("Tracks")
    if objects is None or tracks is None:
        section.paragraphs.append(NO_TRACKS + "objects.parquet or tracks.csv is missing.")
        return section
    if tracks.empty:
        section.paragraphs.append(NO_TRACKS + "no cell was found.")
        return section
    units, image = results.units, results.image()
    if image is not None:
        window = window_around(image.shape_yx)
        grey = stretch(read_window(image, image.n_frames - 1, len(image.channels) - 1, window))
        paths = draw.track_paths(objects, tracks)
        uri = encode(lambda: draw.figure_tracks(grey, window, units, paths), photograph=True)
        caption = (
            "Paths of all cells over the last frame, darkened; a dot marks where a track ends, "
            "and daughters begin at the dot of their parent."
        )
        section.pictures.append(Picture(uri, caption))
    if results.manifest.n_frames == 1:
        section.paragraphs.append(f"{SINGLE_FRAME}: nothing was linked.")
        return section
    lengths = (tracks["last_frame"] - tracks["first_frame"] + 1).to_numpy(np.int64)
    n_frames = results.manifest.n_frames
    uri = encode(lambda: draw.figure_track_lengths(lengths, n_frames, units))
    whole = int((lengths == n_frames).sum())
    caption = f"Track lengths; {whole} of {len(tracks)} tracks span the whole movie."
    section.pictures.append(Picture(uri, caption))
    return section


def counts_section(
    results: Results, objects: pd.DataFrame | None, divisions: pd.DataFrame | None
) -> Section:
    """Make the section of cells and divisions over time."""
    section = Section("Cells and divisions")
    if objects is None or divisions is None:
        section.paragraphs.append(NO_TRACKS + "objects.parquet or divisions.csv is missing.")
        return section
    n_cells = np.bincount(objects["frame"], minlength=results.manifest.n_frames)
    if len(n_cells) == 1:
        section.paragraphs.append(f"{SINGLE_FRAME}: it holds {n_cells[0]} cells.")
        return section
    uri = encode(lambda: draw.figure_counts(n_cells, divisions["frame"], results.units))
    section.pictures.append(Picture(uri, "Number of tracked cells and of divisions over time."))
    if divisions.empty:
        section.paragraphs.append("No division was found.")
        return section
    section.tables.append(divisions_table(divisions, results.units))
    return section


def divisions_table(divisions: pd.DataFrame, units: Units) -> Table:
    """List the first divisions."""
    names = ["event_id", "kind", "frame", "parent_id", "daughter_ids", "score", "status"]
    shown = divisions.sort_values("frame", kind="stable")[names].head(MAX_DIVISION_ROWS)
    shown["daughter_ids"] = shown["daughter_ids"].astype(str).str.replace(";", ", ")
    header = ["event", "kind", "frame", "parent", "daughters", "score", "status"]
    if units.timed:
        shown.insert(3, "time", units.times(shown["frame"]))
        header.insert(3, units.time_label)
    caption = "Divisions: frame and time of the first frame with daughters."
    if len(divisions) > len(shown):
        caption = f"The first {len(shown)} of {len(divisions)} divisions; all: divisions.csv."
    return Table(caption, header, list(shown.itertuples(index=False, name=None)))


def lineage_section(
    results: Results, tracks: pd.DataFrame | None, divisions: pd.DataFrame | None
) -> Section:
    """Make the section of the lineage tree."""
    section = Section("Lineages")
    if tracks is None or tracks.empty:
        section.paragraphs.append("There are no tracks to arrange.")
        return section
    sizes = tracks.groupby("lineage_id").size()
    dividing = sizes[sizes > 1]
    if dividing.empty:
        section.paragraphs.append("No cell divided: every lineage is a single track.")
        return section
    largest = dividing.sort_values(ascending=False, kind="stable").index[:MAX_LINEAGES]
    shown = tracks[tracks["lineage_id"].isin(largest)]
    uri = encode(lambda: draw.figure_lineages(shown, results.units))
    caption = (
        f"The {len(largest)} largest of {len(dividing)} lineages with a division, out of "
        f"{len(sizes)}; ids and colours of the tracks as in the pictures above. Dots: divisions."
    )
    section.pictures.append(Picture(uri, caption))
    return section
