"""Selection of the sections of a report, in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cellsam_core.reporting.page import render
from cellsam_core.reporting.sections.common import (
    input_section,
    run_section,
    segmentation_section,
    versions_section,
)
from cellsam_core.reporting.sections.corrections import corrections_sections
from cellsam_core.reporting.sections.crops import crops_section
from cellsam_core.reporting.sections.fusion import fusion_section
from cellsam_core.reporting.sections.methods import methods_section

if TYPE_CHECKING:
    from pathlib import Path

    from cellsam_core.reporting.results import Results
    from cellsam_core.verdict.checks import Verdict


def build_report(
    results: Results, verdict: Verdict, provenance: dict[str, Any], benchmarks: Path | None
) -> str:
    """Render the report of one sample; the same files give the same bytes.

    Parameters
    ----------
    results
        Results of the sample.
    verdict
        Verdict on them, which is shown at the top.
    provenance
        Record of :func:`cellsam_core.reporting.provenance.provenance`.
    benchmarks
        Folder with Snakemake's benchmark files, or None.

    Returns
    -------
    str
        HTML document.
    """
    if results.is_movie:
        from cellsam_core.reporting.sections.movie import movie_sections as sections_of
    else:
        from cellsam_core.reporting.sections.spatial import spatial_sections as sections_of

    manifest = results.manifest
    columns = ["frame", "label", "y", "x", "area_px", "score", "touches_border"]
    cells = results.table(f"{results.masks_folder}/cells.parquet", columns)
    headline, sections = sections_of(results, verdict)
    all_sections = [
        input_section(results),
        segmentation_section(results, cells),
        *([] if (fused := fusion_section(results)) is None else [fused]),
        *corrections_sections(results),
        crops_section(results, cells),
        *sections,
        methods_section(results, provenance),
        run_section(benchmarks),
        versions_section(results, provenance),
    ]
    version = provenance["packages"]["cellsam_core"]
    subtitle = f"{manifest.assay}, read as {manifest.format} by cellsam_core {version}"
    return render(manifest.sample, subtitle, headline, all_sections, verdict)
