"""Section of the reporter traces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cellsam_core.reporting.figures import traces as draw
from cellsam_core.reporting.figures.common import encode
from cellsam_core.reporting.figures.traces import Onset
from cellsam_core.reporting.page import Picture, Section, Table, count
from cellsam_core.reporting.results import trace_matrix
from cellsam_core.reporting.sections.tracks import SINGLE_FRAME
from cellsam_core.traces.files import drug_frame_of, read_options

if TYPE_CHECKING:
    import pandas as pd

    from cellsam_core.reporting.results import Results


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
    uri = encode(lambda: draw.figure_intensities(matrices, results.units))
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
            encode(lambda: draw.figure_heat_map(matrix, onset, units)),
            f"R/R0 of {len(matrix)} cells with a valid value, strongest mean response on top; "
            "grey: absent or flagged.",
        )
    )
    section.pictures.append(
        Picture(
            encode(lambda: draw.figure_traces(matrix, onset, units)),
            "R/R0 of single cells and their mean with the 95 % confidence interval over cells; up "
            f"to {draw.MAX_COLOURED_TRACES} cells in the colours of their tracks.",
        )
    )
