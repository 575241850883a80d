"""Overview of all samples of a run: one table, and one page with links to the reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from cellsam_core.errors import InputError
from cellsam_core.files.atomic import atomic_path
from cellsam_core.files.tables import table_errors
from cellsam_core.reporting.columns import NUMBERS
from cellsam_core.reporting.page import environment
from cellsam_core.reporting.stage import VERDICT_FILE
from cellsam_core.run_plan.outcome import Outcome, reason_in

if TYPE_CHECKING:
    from collections.abc import Iterable

TABLE_FILE, PAGE_FILE = "summary.tsv", "index.html"
REPORT = "4_report/report.html"
STAGES = (
    *("align_colours", "decode_batch", "join_fields", "inspect", "preprocess", "segment", "stitch"),
    *("track", "traces", "assign", "report", "spatialdata"),
)
"""Names of the logs of a sample, in the order of the workflow."""
COLUMNS = (
    *("sample", "assay", "state", "verdict", "red", "amber", *NUMBERS),
    *("stage", "reason", "log", "report"),
)
WORST_FIRST = ("red", "amber", "unknown", "green")


def overview(
    results: str | Path = "results",
    *,
    logs: str | Path = "logs",
    outcomes: Iterable[Outcome] | None = None,
    write: bool = True,
) -> pd.DataFrame:
    """List all samples of a run: verdict and chief numbers, or stage and reason of a failure.

    Parameters
    ----------
    results
        Folder with one folder of results for each sample.
    logs
        Folder of the logs, with one folder for each sample.
    outcomes
        Outcome of each sample, in the order of the rows; without it, the samples are those that
        have results or logs, by name, and their logs tell what failed.
    write
        True writes ``summary.tsv`` and ``index.html`` into `results`.

    Returns
    -------
    DataFrame
        One row for each sample: sample, assay, state (finished, failed, stopped, not run),
        verdict (green, amber, red or unknown), names of the red and amber checks joined by ``;``,
        chief numbers, stage, reason and log of a failure, and the report's path below `results`.

    Raises
    ------
    InputError
        There is no such folder, or a verdict in it is damaged.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> import cellsam_core as cc
    >>> results = Path(mkdtemp())
    >>> small = cc.MovieOptions(frames=1, size_px=64, cells=2)
    >>> movie = cc.simulate_movie(results / "raw", options=small)
    >>> sample = cc.inspect(results / "raw/images", sample="well_1", assay="movie")
    >>> sample.save(results / "well_1/0_manifest.json")
    >>> path = cc.report(results / "well_1")
    >>> cc.overview(results)[["sample", "state", "verdict"]].to_numpy().tolist()
    [['well_1', 'finished', 'unknown']]
    """
    folder = Path(results)
    if not folder.is_dir():
        raise InputError(
            folder,
            found="no such folder",
            expected="the folder with the results of all samples",
            remedy="run the workflow first or correct the path",
        )
    known = _outcomes(folder, Path(logs)) if outcomes is None else list(outcomes)
    rows = [_row(folder, outcome) for outcome in known]
    table = pd.DataFrame(rows, columns=COLUMNS).astype(dict.fromkeys(NUMBERS, "Float64"))
    if write:
        with atomic_path(folder / TABLE_FILE) as path:
            table.to_csv(path, sep="\t", index=False, float_format="%.6g", lineterminator="\n")
        with atomic_path(folder / PAGE_FILE) as path:
            path.write_text(index_page(table), encoding="utf-8")
    return table


def _outcomes(results: Path, logs: Path) -> list[Outcome]:
    """Find the samples, and what failed according to their logs."""
    here = {path.parent.name for path in results.glob("*/0_manifest.json")}
    logged = {path.parent.name for path in logs.glob("*/*.log")}
    return [_outcome(results, logs, sample) for sample in sorted(here | logged)]


def _outcome(results: Path, logs: Path, sample: str) -> Outcome:
    if (results / sample / REPORT).is_file():
        return Outcome(sample, "finished")
    stages = [(stage, path) for stage in STAGES for path in _logs_of(logs / sample, stage)]
    if not stages:
        return Outcome(sample, "not run")
    stage, log = stages[-1]
    return Outcome(sample, "failed", stage, reason_in(log), log)


def _logs_of(folder: Path, stage: str) -> list[Path]:
    return [*sorted(folder.glob(f"{stage}/*.log")), *folder.glob(f"{stage}.log")]


def _row(results: Path, outcome: Outcome) -> dict[str, Any]:
    row: dict[str, Any] = {"sample": outcome.sample, "state": outcome.state}
    row |= {"stage": outcome.stage, "reason": outcome.sentence, "log": outcome.log or ""}
    path = results / outcome.sample / Path(REPORT).parent / VERDICT_FILE
    # A report of an earlier run says nothing of a sample that has failed since.
    if outcome.state != "finished" or not path.is_file():
        return row
    with table_errors(path):
        record = dict(json.loads(path.read_text(encoding="utf-8")))
        checks = [(str(check["name"]), str(check["colour"])) for check in record["checks"]]
        row |= {"assay": record["assay"], "verdict": record["colour"]}
        row |= {name: record["numbers"].get(name) for name in NUMBERS}
    for colour in ("red", "amber"):
        row[colour] = ";".join(name for name, of in checks if of == colour)
    return row | {"report": f"{outcome.sample}/{REPORT}"}


def index_page(table: pd.DataFrame) -> str:
    """Render the page of all samples: failed ones first, then the worst verdicts.

    Parameters
    ----------
    table
        Table of :func:`overview`.
    """
    rows: list[dict[Any, Any]] = [
        {name: None if pd.isna(value) else value for name, value in row.items()}
        for row in table.to_dict("records")
    ]
    failed = [row for row in rows if row["state"] != "finished"]
    finished = [row for row in rows if row["state"] == "finished"]
    finished.sort(key=lambda row: WORST_FIRST.index(row["verdict"] or "unknown"))
    shown = [name for name in NUMBERS if any(row[name] is not None for row in finished)]
    template = environment().get_template("index.html.j2")
    return template.render(failed=failed, finished=finished, numbers=shown)
