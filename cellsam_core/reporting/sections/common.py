"""Sections of every report: input, segmentation, run times, versions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cellsam_core.files.tables import read_table
from cellsam_core.reporting.figures.common import encode, figure_histograms
from cellsam_core.reporting.page import Picture, Section, Table, count, percent
from cellsam_core.reporting.sections.stains import preprocessing_record, stain_words
from cellsam_core.samples.sources import words, words_of_unit
from cellsam_core.verdict.cells import sample_seam_ratio

if TYPE_CHECKING:
    from pathlib import Path

    from cellsam_core.reporting.results import Results

LEAST_RSS_MB = 20.0
"""Memory below which a sample is of the shell of a job, not of its program."""


def input_section(results: Results) -> Section:
    """Make the section of the input: its metadata, units and the reader's warnings."""
    manifest = results.manifest
    height, width = manifest.shape_yx
    unknown = "not known: lengths are in pixels"
    rows: list[tuple[str, Any]] = [
        ("assay", manifest.assay),
        ("format", manifest.format),
        ("channels", ", ".join(manifest.channels)),
        ("frames", manifest.n_frames),
        ("image size (px)", f"{width} x {height}"),
        ("pixel type", manifest.dtype),
    ]
    pixel = f"{manifest.pixel_size_um:.4g}" if manifest.pixel_size_um else unknown
    rows.append(("pixel size (µm)", pixel + words(manifest.sources, "pixel_size_um")))
    if results.is_movie:
        interval: Any = manifest.frame_interval_s or "not known: times are in frames"
        if manifest.frame_times_s and not manifest.frame_interval_s:
            interval = f"uneven, 0 to {manifest.frame_times_s[-1]:g} s in all"
        said = interval if isinstance(interval, str) else f"{interval:.6g}"
        rows.append(("frame interval (s)", said + words(manifest.sources, "frame_interval_s")))
    if manifest.transcripts is not None:
        source = manifest.transcripts
        rows.append(("transcripts", count(source.n_rows) + words_of_unit(source)))
    section = Section(
        "Input",
        tables=[Table("Metadata of the sample, and where each scale comes from.", (), rows)],
    )
    if manifest.warnings:
        section.tables.append(
            Table("Warnings of the reader.", (), [(text,) for text in manifest.warnings])
        )
    else:
        section.paragraphs.append("The reader had no warnings.")
    return section


def segmentation_section(results: Results, cells: pd.DataFrame | None) -> Section:
    """Make the section of segmentation: number of cells, scores, areas, cells at the border."""
    section = Section("Segmentation")
    if cells is None:
        section.paragraphs.append(
            "There is no 2_masks/cells.parquet: the image was not segmented here."
        )
        return section
    if cells.empty:
        section.paragraphs.append("No cell was found in any frame.")
        return section
    units = results.units
    area = cells["area_px"].to_numpy(np.float64) * units.per_px**2
    border = cells["touches_border"].to_numpy(bool)
    rows = [
        ("masks", len(cells)),
        ("masks per frame (mean)", len(cells) / results.manifest.n_frames),
        (f"median area ({units.area})", float(np.median(area))),
        (
            "touching the image border",
            f"{count(border.sum())} ({percent(border.sum(), len(border))})",
        ),
    ]
    rows.append(("stain", stain_words(results)))
    searched = results.segmentation_parameters().get("cell_diameter_px")
    if searched is not None:
        rows.append(("diameter that cells were searched with (px)", searched))
    ratio = sample_seam_ratio(results, cells)
    if ratio is not None:
        what = "cells per area near tile borders, over that beside them (error of counting)"
        rows.append((what, f"{ratio.ratio:.2f} ({ratio.standard_error:.2f})"))
    panels = [(area, f"cell area ({units.area})")]
    if "score" in cells and cells["score"].notna().any():
        score = cells["score"].dropna().to_numpy(np.float64)
        rows.append(("median score", float(np.median(score))))
        panels.append((score, "detection score (0-1)"))
    section.tables.append(Table("All frames together.", (), rows))
    picture = encode(lambda: figure_histograms(panels, "masks"))
    caption = "Distribution over all masks, the top 0.5 % in the last bin; the line: median."
    section.pictures.append(Picture(picture, caption))
    return section


def benchmark_table(folder: Path | None) -> pd.DataFrame:
    """Read time and memory of each job from Snakemake's benchmark files below `folder`.

    Returns
    -------
    pandas.DataFrame
        job, wall_s, cpu_s, peak_rss_mb; NaN where the job was too short to be sampled, or ended
        before its program had started to work.
    """
    rows = []
    for path in sorted(folder.rglob("*.tsv")) if folder is not None else []:
        assert folder is not None
        table = read_table(path, na_values=["-", "NA"])
        for record in table.to_dict("records"):
            job = path.relative_to(folder).with_suffix("").as_posix()
            cpu_s, peak_mb = (float(record.get(key, np.nan)) for key in ("cpu_time", "max_rss"))
            is_sampled = peak_mb >= LEAST_RSS_MB
            used = (cpu_s, peak_mb) if is_sampled else (np.nan, np.nan)
            rows.append((job, record.get("s"), *used))
    return pd.DataFrame(rows, columns=["job", "wall_s", "cpu_s", "peak_rss_mb"])


def run_section(folder: Path | None) -> Section:
    """Make the section of run times and memory."""
    section = Section("Run time and memory", folded="Show the time and memory of each job")
    table = benchmark_table(folder)
    if table.empty:
        section.paragraphs.append("No benchmark files were given.")
        return section
    header = ("job", "wall time (s)", "CPU time (s)", "peak memory (MB)")
    rows: list[tuple[Any, ...]] = list(table.itertuples(index=False, name=None))
    rows.append(("all", *table[["wall_s", "cpu_s"]].sum(), table["peak_rss_mb"].max()))
    section.tables.append(
        Table("One row a job; of all jobs: sum of times, largest memory.", header, rows)
    )
    return section


def versions_section(results: Results, provenance: dict[str, Any]) -> Section:
    """Make the section of versions, weights and parameters, as configured and as they were used."""
    used = used_values(results, provenance)
    segmentation = [(key, _plain(v)) for key, v in sorted(provenance["segmentation"].items())]
    packages = [("python", provenance["python"]), *sorted(provenance["packages"].items())]
    config = [
        (section, key, _plain(value), _plain(used.get((section, key), value)))
        for section, values in sorted(provenance["config"].items())
        for key, value in (sorted(values.items()) if isinstance(values, dict) else [("", values)])
    ]
    section = Section("Versions and parameters", folded="Show all versions and parameters")
    if segmentation:
        section.tables.append(Table("Segmentation, as recorded in the masks.", (), segmentation))
    else:
        section.paragraphs.append("The masks do not record how they were made.")
    if config:
        header = ("section", "key", "configured", "used")
        caption = "Configuration, and the values that were used: they differ where a value was"
        caption += " measured or guessed."
        section.tables.append(Table(caption, header, config))
    section.tables.append(Table("Versions.", (), packages))
    section.paragraphs.append(f"SHA-256 of the manifest: {provenance['manifest_sha256']}.")
    return section


def used_values(results: Results, provenance: dict[str, Any]) -> dict[tuple[str, str], Any]:
    """Return the values that frames and masks record of their making, by section and key.

    Parameters
    ----------
    results
        Results of the sample.
    provenance
        Record of :func:`cellsam_core.reporting.provenance.provenance`.
    """
    record = preprocessing_record(results)
    used = {("preprocess", key): value for key, value in record.items()}
    for role, names in record.get("channels", {}).items():
        used["preprocess", f"{role}_channel"] = ",".join(names)
    return used | {("segment", key): v for key, v in provenance["segmentation"].items()}


def _plain(value: Any) -> str:
    """Format a value of the configuration; whole numbers are not grouped by thousands."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
