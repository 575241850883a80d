"""All output files of the workflow, in the order of the stages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellsam_core.assignment.columns import OUTPUTS as ASSIGNMENT
from cellsam_core.comparison.columns import OUTPUTS as COMPARISON
from cellsam_core.corrections.columns import OUTPUTS as CORRECTIONS
from cellsam_core.decoding.columns import OUTPUTS as DECODING
from cellsam_core.exports.columns import OUTPUTS as EXPORTS
from cellsam_core.nuclei.columns import OUTPUTS as NUCLEI
from cellsam_core.preprocessing.columns import OUTPUTS as PREPROCESSING
from cellsam_core.reporting.columns import OUTPUTS as REPORTING
from cellsam_core.samples.columns import OUTPUTS as SAMPLES
from cellsam_core.segmentation.columns import OUTPUTS as SEGMENTATION
from cellsam_core.traces.columns import OUTPUTS as TRACES
from cellsam_core.tracking.columns import OUTPUTS as TRACKING
from cellsam_core.vendor.columns import OUTPUTS as VENDOR

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cellsam_core.outputs import Output

OUTPUTS = (
    *DECODING,
    *SAMPLES,
    *PREPROCESSING,
    *SEGMENTATION,
    *CORRECTIONS,
    *NUCLEI,
    *TRACKING,
    *TRACES,
    *ASSIGNMENT,
    *EXPORTS,
    *VENDOR,
    *REPORTING,
    *COMPARISON,
)


def outputs_at(path: str) -> Iterator[Output]:
    """Yield what is declared of a file, or of the folder that holds it.

    Parameters
    ----------
    path
        Path of a file below the folder of its sample, or below ``results``.
    """
    exact = [output for output in OUTPUTS if output.path == path]
    yield from exact or [o for o in OUTPUTS if path.startswith(f"{o.path}/")]
