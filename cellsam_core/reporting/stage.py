"""The report of one sample: an HTML page and its provenance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellsam_core.files.atomic import atomic_path
from cellsam_core.reporting.build import build_report
from cellsam_core.reporting.provenance import provenance as collect_provenance
from cellsam_core.reporting.results import Results
from cellsam_core.verdict.stage import verdict_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cellsam_core.verdict.checks import Verdict


VERDICT_FILE = "verdict.json"


def judge(results: str | Path | Results) -> Verdict:
    """Judge the results of a sample by six to eight checks, each green, amber or red.

    Limits and the data that they come from are in ``docs/verdict.md``.

    Parameters
    ----------
    results
        Results folder of the sample, or the opened :class:`Results`.

    Returns
    -------
    Verdict
        The checks, the colour of the worst of them, and the chief numbers of the sample.

    Raises
    ------
    InputError
        The folder is no results folder, or a file in it is damaged.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> import cellsam_core as cc
    >>> folder = Path(mkdtemp())
    >>> small = cc.MovieOptions(frames=1, size_px=64, cells=2)
    >>> movie = cc.simulate_movie(folder / "raw", options=small)
    >>> sample = cc.inspect(folder / "raw/images", assay="movie")
    >>> sample.save(folder / "0_manifest.json")
    >>> verdict = cc.judge(folder)
    >>> verdict.colour, verdict["cells"].worst.reason
    ('unknown', 'Not measured. The image was not segmented here.')
    """
    return verdict_of(results if isinstance(results, Results) else Results.load(Path(results)))


def report(
    results: str | Path | Results,
    output: str | Path | None = None,
    *,
    provenance: str | Path | None = None,
    config: Mapping[str, Any] | None = None,
    benchmarks: str | Path | None = None,
    bulk: str | Path | None = None,
) -> Path:
    """Write the report of a sample, one self-contained HTML page, its verdict and its provenance.

    The verdict is written to ``verdict.json`` beside the page. The same files give the same
    bytes. Stages that have not run are named in the report.

    Parameters
    ----------
    results
        Results folder of the sample, or the opened :class:`Results`.
    output
        HTML file to write; ``4_report/report.html`` in the results folder without it.
    provenance
        JSON file to write, with versions, configuration, weights and inputs;
        ``provenance.json`` in the results folder without it.
    config
        Configuration to record: section to its keys and values.
    benchmarks
        Folder with Snakemake's benchmark files, for the table of run times.
    bulk
        Table with the columns gene and value, e.g. TPM, to compare the transcripts with.

    Returns
    -------
    Path
        The HTML file.

    Raises
    ------
    InputError
        The folder is no results folder, a file in it is damaged or contradicts another, or
        `bulk` is given for a movie.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> import cellsam_core as cc
    >>> folder = Path(mkdtemp())
    >>> small = cc.MovieOptions(frames=1, size_px=64, cells=2)
    >>> movie = cc.simulate_movie(folder / "raw", options=small)
    >>> sample = cc.inspect(folder / "raw/images", assay="movie")
    >>> sample.save(folder / "0_manifest.json")
    >>> cc.report(folder).relative_to(folder).as_posix()
    '4_report/report.html'
    """
    if isinstance(results, Results):
        folder, bulk = results.folder, results.bulk if bulk is None else bulk
    else:
        folder = Path(results)
    sample = Results.load(folder, None if bulk is None else Path(bulk))
    page_path = folder / "4_report/report.html" if output is None else Path(output)
    record_path = folder / "provenance.json" if provenance is None else Path(provenance)
    record = collect_provenance(sample, dict(config or {}))
    verdict = verdict_of(sample)
    page = build_report(sample, verdict, record, None if benchmarks is None else Path(benchmarks))
    with atomic_path(record_path) as path:
        path.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    with atomic_path(page_path.parent / VERDICT_FILE) as path:
        path.write_text(verdict.to_json(), encoding="utf-8")
    with atomic_path(page_path) as path:
        path.write_text(page, encoding="utf-8")
    return page_path
