"""Comparison of conditions: reporter traces of several samples, averaged by condition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cellsam_core.errors import InputError
from cellsam_core.files.atomic import atomic_path
from cellsam_core.traces.files import Responses, read_responses
from cellsam_core.traces.result import Traces
from cellsam_core.traces.summaries import condition_curve, condition_summary, resample

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]
    Sample = Traces | Responses | str | Path


@dataclass(frozen=True)
class Conditions:
    """Mean traces and mean responses of conditions.

    Attributes
    ----------
    curves
        One row per condition and time: condition, frame, time_s (NaN if the
        frame interval is not known), time_frames (in frame intervals), n (cells), mean, sd, sem,
        ci95 (half-width of the 95 % confidence interval, Student's t) of R/R0.
    summary
        One row per condition and quantity of
        :func:`~cellsam_core.traces.summaries.summarise_tracks`: condition, n_samples, quantity,
        n_cells, mean, ci95.
    unit
        Unit of time: ``s``, or ``frames`` where the frame interval is not known.
    drug_time
        Time at which the drug was added, in `unit`.
    how_pooled
        Words for the treatment of samples that were not imaged alike; empty if all were.
    """

    curves: pd.DataFrame
    summary: pd.DataFrame
    unit: str
    drug_time: float
    how_pooled: str

    def write(self, folder: str | Path) -> None:
        """Write ``condition_traces.csv`` and ``condition_summary.csv``.

        Parameters
        ----------
        folder
            Folder to write; it is made if it does not exist.
        """
        tables = {"condition_traces": self.curves, "condition_summary": self.summary}
        for name, table in tables.items():
            with atomic_path(Path(folder) / f"{name}.csv") as path:
                table.to_csv(path, index=False, float_format="%.6g")


def compare_conditions(samples: Mapping[str, Sequence[Sample] | Sample]) -> Conditions:
    """Average the reporter traces of samples by condition.

    The cells of all samples of a condition are pooled. All conditions share one time axis, on
    which the drug is added at the same time; samples with a shorter frame interval are interpolated
    linearly to the longest.

    Parameters
    ----------
    samples
        Samples of each condition: results of :func:`cellsam_core.trace`, or paths of
        ``traces.parquet``.

    Returns
    -------
    Conditions
        Mean traces and mean responses; ``conditions.write(folder)`` writes them.

    Raises
    ------
    InputError
        A table can't be read, or the frame interval is known for some samples only.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> import pandas as pd
    >>> path = Path(mkdtemp()) / "traces.parquet"
    >>> rows = {"track_id": 1, "frame": range(4), "time_s": [0, 30, 60, 90], "compartment": "cell"}
    >>> pd.DataFrame(rows | {"r_over_r0": [1, 1, 2, 2], "valid": True}).to_parquet(path)
    >>> conditions = compare_conditions({"drug": [path]})
    >>> conditions.curves["mean"].tolist()
    [1.0, 1.0, 2.0, 2.0]
    """
    if not isinstance(samples, Mapping):
        raise InputError(
            "the samples",
            found=f"an object of type {type(samples).__name__}",
            expected="a mapping from the names of the conditions to their samples",
            remedy='give {"control": [traces], "drug": [traces]}',
        )
    responses = {name: [_responses(s) for s in _several(given)] for name, given in samples.items()}
    every = [sample for given in responses.values() for sample in given]
    if not every or not all(responses.values()):
        raise InputError(
            "the samples",
            found="a condition without a sample, or no condition",
            expected="at least one sample of each condition",
            remedy="give the traces of a sample",
        )
    unit = _only_unit(every)
    times, drug_time = _common_times(every)
    step = max(sample.interval for sample in every)
    curves, summaries = [], []
    for condition, pooled in responses.items():
        cells = [
            resample(s.matrix.to_numpy(), s.frames_at(times - drug_time + s.drug_time))
            for s in pooled
        ]
        curve = condition_curve(np.concatenate(cells))
        curve.insert(0, "condition", condition)
        curve.insert(2, "time_s", times if unit == "s" else np.nan)
        curve.insert(3, "time_frames", times / step)
        curves.append(curve)
        summary = condition_summary(pd.concat([sample.table for sample in pooled]))
        summary.insert(0, "condition", condition)
        summary.insert(1, "n_samples", len(pooled))
        summaries.append(summary)
    return Conditions(
        pd.concat(curves, ignore_index=True),
        pd.concat(summaries, ignore_index=True),
        unit,
        drug_time,
        _how_pooled(every),
    )


def _several(given: Sequence[Sample] | Sample) -> Sequence[Sample]:
    """Make the only sample of a condition a list of one."""
    return [given] if isinstance(given, str | Path | Traces | Responses) else given


def _responses(sample: Sample) -> Responses:
    if isinstance(sample, Responses):
        return sample
    return sample.responses if isinstance(sample, Traces) else read_responses(Path(sample))


def _only_unit(samples: list[Responses]) -> str:
    """Return the unit of time of all samples; refuse two units."""
    units = sorted({sample.unit for sample in samples})
    if len(units) > 1:
        raise InputError(
            "the samples",
            found="some with times in s, some in frames",
            expected="the frame interval of all samples, or of none",
            remedy="give frame_interval_s for the others",
        )
    return units[0]


def _common_times(samples: list[Responses]) -> tuple[FloatArray, float]:
    """Return a time axis of the longest frame interval, and the common time of the drug on it."""
    step = max(sample.interval for sample in samples)
    drug_time = max(sample.drug_time for sample in samples)
    last = max((float(s.times[-1]) if len(s.times) else 0.0) - s.drug_time for s in samples)
    before, after = (np.floor(span / step + 1e-6) for span in (drug_time, last))
    return drug_time + step * np.arange(-before, after + 1), drug_time


def _how_pooled(samples: list[Responses]) -> str:
    """Describe the treatment of samples that were not imaged alike; empty if all were."""
    intervals = sorted({sample.interval for sample in samples})
    words = []
    is_even = all(sample.is_even for sample in samples)
    if not is_even:
        words.append(f"frames that are unevenly spaced, interpolated to every {intervals[-1]:g} s")
    if len(intervals) > 1 and is_even:
        every = " and ".join(f"{interval:g}" for interval in intervals)
        words.append(f"frames every {every} s, interpolated to every {intervals[-1]:g} s")
    if len({sample.drug_time for sample in samples}) > 1:
        words.append("aligned at the drug")
    return ", ".join(words)
