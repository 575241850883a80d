"""Sections of a movie's report."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cellsam_core.reporting import figures_traces, figures_tracks
from cellsam_core.reporting.figures_common import MAX_LABELS, encode
from cellsam_core.reporting.figures_traces import Onset
from cellsam_core.reporting.images import overlay, read_window, stretch, window_around
from cellsam_core.reporting.page import Picture, Section, Table, count
from cellsam_core.reporting.results import Results, trace_matrix
from cellsam_core.reporting.section_review import review_section
from cellsam_core.reporting.stains import stain_words
from cellsam_core.traces.files import drug_frame_of, read_options
from cellsam_core.tracking.corrections import merged_pieces

if TYPE_CHECKING:
    import numpy.typing as npt

    from cellsam_core.files.omezarr import OmeZarr
    from cellsam_core.reporting.images import Rgb, Window
    from cellsam_core.reporting.units import Units
    from cellsam_core.verdict.checks import Verdict

MAX_LINEAGES = 30
MAX_DIVISION_ROWS = 100
NO_TRACKS = "There are no tracks: "
SINGLE_FRAME = "The movie has a single frame"


def movie_sections(
    results: Results, verdict: Verdict
) -> tuple[list[tuple[str, Any]], list[Section]]:
    """Build the headline and the sections of a movie, from its ``3_tracks`` folder."""
    objects = results.table("3_tracks/objects.parquet")
    tracks = results.table("3_tracks/tracks.csv")
    divisions = results.table("3_tracks/divisions.csv")
    n_frames = results.manifest.n_frames
    headline: list[tuple[str, Any]] = [("frames", n_frames)]
    if objects is not None:
        headline.append(("cells per frame", len(objects) / n_frames))
    if tracks is not None:
        headline.append(("tracks", len(tracks)))
        headline.append(("lineages", tracks["lineage_id"].nunique()))
    if divisions is not None:
        headline.append(("divisions", len(divisions)))
    sections = [
        outlines_section(results, objects),
        tracks_section(results, objects, tracks),
        counts_section(results, objects, divisions),
        lineage_section(results, tracks, divisions),
        review_section(results, verdict),
        traces_section(results),
        quality_section(results, objects, tracks),
        interval_section(results),
    ]
    return headline, sections


def outlines_section(results: Results, objects: pd.DataFrame | None) -> Section:
    """Make the section of the masks of the first, middle and last frame."""
    section = Section("Masks over the image")
    image, masks = results.image(), results.masks()
    if image is None or masks is None:
        section.paragraphs.append("The frames or the masks are missing.")
        return section
    units = results.units
    last = masks.n_frames - 1
    colour = "Outlines" if objects is None else "Outlines in the colour of their track, with its id"
    for frame in sorted({0, last // 2, last}):
        rgb, window, here = frame_overlay(image, masks, objects, frame)
        title = f"frame {frame}" + (
            f", {units.at(float(units.times(frame)))}" if units.timed else ""
        )
        uri = encode(
            partial(figures_tracks.figure_masks, title, rgb, window, units, here), photograph=True
        )
        caption = f"{colour}, over {stain_words(results)}; frame {frame}."
        if here is not None and len(here) > MAX_LABELS:
            caption += f" No ids are written for more than {MAX_LABELS} cells."
        section.pictures.append(Picture(uri, caption))
    return section


def frame_overlay(
    image: OmeZarr, masks: OmeZarr, objects: pd.DataFrame | None, frame: int
) -> tuple[Rgb, Window, pd.DataFrame | None]:
    """Draw a frame with outlines in the colours of tracks; also return its window and objects."""
    window = window_around(masks.shape_yx)
    labels = read_window(masks, frame, 0, window)
    plane = read_window(image, frame, len(image.channels) - 1, window)
    if objects is None:
        return overlay(plane, labels), window, None
    ids = _track_of_label(objects, frame, int(labels.max()))
    return overlay(plane, labels, ids), window, objects[objects["frame"] == frame]


def _track_of_label(objects: pd.DataFrame, frame: int, max_label: int) -> npt.NDArray[np.int64]:
    """Return the track at the index of its label in `frame`; 0 for a label without a track."""
    here = objects[objects["frame"] == frame]
    pieces = merged_pieces(here)
    labels = pd.concat([here["label"], pieces["piece"]]).to_numpy(np.int64)
    track_ids = pd.concat([here["track_id"], pieces["track_id"]]).to_numpy(np.int64)
    ids = np.zeros(max_label + 1, dtype=np.int64)
    ids[labels[labels <= max_label]] = track_ids[labels <= max_label]
    return ids


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
        paths = figures_tracks.track_paths(objects, tracks)
        uri = encode(
            lambda: figures_tracks.figure_tracks(grey, window, units, paths), photograph=True
        )
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
    uri = encode(lambda: figures_tracks.figure_track_lengths(lengths, n_frames, units))
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
    uri = encode(lambda: figures_tracks.figure_counts(n_cells, divisions["frame"], results.units))
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
    uri = encode(lambda: figures_tracks.figure_lineages(shown, results.units))
    caption = (
        f"The {len(largest)} largest of {len(dividing)} lineages with a division, out of "
        f"{len(sizes)}; ids and colours of the tracks as in the pictures above. Dots: divisions."
    )
    section.pictures.append(Picture(uri, caption))
    return section


def read_traces(results: Results) -> tuple[pd.DataFrame | None, dict[str, Any]]:
    """Read the rows of ``traces.parquet`` on whole cells, and the options of `traces`."""
    name = "3_tracks/traces.parquet"
    table = results.table(
        name,
        ["track_id", "frame", "compartment", "r_over_r0", "valid", "invalid_reason"]
        + [f"{c}_{name}" for c in results.manifest.channels for name in ("mean", "background")],
    )
    if table is None:
        return None, {}
    return table[table["compartment"] == "cell"], read_options(results.folder / name)


def ratio_matrix(results: Results, traces: pd.DataFrame) -> pd.DataFrame:
    """Arrange valid values of R/R0 as tracks x frames; see :func:`trace_matrix`."""
    values = traces["r_over_r0"].where(traces["valid"])
    return trace_matrix(traces, values, results.manifest.n_frames)


def onset_of(options: dict[str, Any]) -> Onset:
    """Return the first frame of the response and the word that marks it."""
    word = "end of baseline" if options["drug_frame"] is None else "drug"
    return Onset(drug_frame_of(options), word)


def traces_section(results: Results) -> Section:
    """Make the section of traces: R/R0 of cells and their mean, or intensities without a ratio."""
    section = Section("Reporter traces")
    traces, options = read_traces(results)
    if traces is None:
        section.paragraphs.append("There is no traces.parquet.")
        return section
    if traces.empty:
        section.paragraphs.append("No cell was traced.")
        return section
    if results.manifest.n_frames == 1:
        section.paragraphs.append(f"{SINGLE_FRAME}: its values are in traces.parquet.")
        return section
    _add_intensities(section, results, traces)
    if options.get("ratio") is None:
        section.paragraphs.append(
            "No ratio was configured, so intensities are shown and R/R0 is empty."
        )
        return section
    _add_ratio(section, results, traces, options)
    return section


def _add_intensities(section: Section, results: Results, traces: pd.DataFrame) -> None:
    n_frames = results.manifest.n_frames
    matrices = {
        c: trace_matrix(traces, traces[f"{c}_mean"] - traces[f"{c}_background"], n_frames)
        for c in results.manifest.channels
    }
    uri = encode(lambda: figures_traces.figure_intensities(matrices, results.units))
    caption = "Mean over cells of the intensity above local background, with its 95 % CI."
    section.pictures.append(Picture(uri, caption))


def _add_ratio(
    section: Section,
    results: Results,
    traces: pd.DataFrame,
    options: dict[str, Any],
) -> None:
    valid = traces["valid"]
    reasons = traces.loc[~valid, "invalid_reason"].str.split(";").explode().value_counts()
    reasons = reasons.sort_index().sort_values(ascending=False, kind="stable")
    numerator, denominator = options["ratio"]
    what = f"{numerator} / {denominator}"
    if options["reporter"] == "ktr":
        what = f"{numerator} in the ring around the nucleus / in the nucleus (medians)"
    section.paragraphs.append(
        f"R = {what}, both above local background; R0 = mean over the first "
        f"{options['baseline_frames']} frame(s). {count(valid.sum())} of {count(len(traces))} "
        "values are valid."
    )
    if rate := options["bleach_rate"]:
        section.paragraphs.append(
            f"Bleaching, {100 * rate:.2g} % of the ratio a frame as measured on the control, is "
            "divided out."
        )
    if len(reasons):
        caption = "Why values are flagged invalid (several reasons may apply to one)."
        section.tables.append(Table(caption, ("reason", "values"), list(reasons.items())))
    matrix = ratio_matrix(results, traces)
    if not len(matrix):
        section.paragraphs.append("No valid value is left to draw.")
        return
    units, onset = results.units, onset_of(options)
    section.pictures.append(
        Picture(
            encode(lambda: figures_traces.figure_heat_map(matrix, onset, units)),
            f"R/R0 of {len(matrix)} cells with a valid value, strongest mean response on top; "
            "grey: absent or flagged.",
        )
    )
    section.pictures.append(
        Picture(
            encode(lambda: figures_traces.figure_traces(matrix, onset, units)),
            "R/R0 of single cells and their mean with the 95 % confidence interval over cells; up "
            f"to {figures_traces.MAX_COLOURED_TRACES} cells in the colours of their tracks.",
        )
    )


def quality_section(
    results: Results, objects: pd.DataFrame | None, tracks: pd.DataFrame | None
) -> Section:
    """Make the section of quality: flags of objects, and beginnings, ends and links of tracks."""
    section = Section("Quality flags")
    if objects is None or tracks is None or tracks.empty:
        section.paragraphs.append("There are no tracks to judge.")
        return section
    each = objects["flags"].fillna("").astype(str).str.split(";").explode()
    flags = each[each != ""].value_counts().sort_index()
    if len(flags):
        section.tables.append(Table("Flags of objects.", ("flag", "objects"), list(flags.items())))
    else:
        section.paragraphs.append("No object is flagged.")
    for column, caption in (
        ("birth_kind", "How tracks begin."),
        ("end_kind", "How tracks end."),
    ):
        counts = tracks[column].fillna("").value_counts().sort_index()
        section.tables.append(Table(caption, (column, "tracks"), list(counts.items())))
    links = objects["link_kind"].value_counts().sort_index()
    section.tables.append(
        Table("How objects were linked.", ("kind", "objects"), list(links.items()))
    )
    quality = tracks["quality"]
    if pd.api.types.is_numeric_dtype(quality) and quality.notna().any():
        section.paragraphs.append(
            f"Track quality: median {quality.median():.3g}, lowest {quality.min():.3g}."
        )
    elif quality.notna().any():
        counts = quality.value_counts().sort_index()
        section.tables.append(Table("Track quality.", ("quality", "tracks"), list(counts.items())))
    return section


def interval_section(results: Results) -> Section:
    """Make the section of the frame interval, judged for `sigma_iou`, and of the stage's drift."""
    section = Section("Frame interval and drift")
    intervals = results.table("3_tracks/intervals.csv")
    drift = results.table("3_tracks/drift.csv")
    if intervals is None or drift is None:
        section.paragraphs.append("intervals.csv or drift.csv is missing.")
        return section
    if intervals.empty:
        section.paragraphs.append("No cell was followed from one frame to the next.")
        return section
    unsafe = intervals.loc[~intervals["safe"], "every_nth_frame"]
    if unsafe.empty:
        advice = "Overlap would still follow the cells in every tested, longer interval."
    elif unsafe.min() == 1:
        advice = (
            "Overlap alone loses cells at the movie's own interval, so that sigma_iou is unsafe: "
            "image more often."
        )
    else:
        advice = f"sigma_iou would be unsafe with every {_ordinal(int(unsafe.min()))} frame only."
    section.paragraphs.append(advice)
    caption = "Links of the final tracks that overlap alone finds in a thinned-out movie."
    rows = [
        (row.every_nth_frame, row.n_links, f"{row.found:.2%}", "yes" if row.safe else "no")
        for row in intervals.itertuples()
    ]
    section.tables.append(Table(caption, ("every nth frame", "links", "found", "safe"), rows))
    step = np.hypot(drift["y_px"].diff(), drift["x_px"].diff()).max()
    section.paragraphs.append(f"Largest step of the stage between two frames: {step:.0f} px.")
    return section


def _ordinal(n: int) -> str:
    return {2: "2nd", 3: "3rd"}.get(n, f"{n}th")
