"""Interface of the cells that transcripts are given to, from a label image or from polygons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    import pyarrow as pa
    import shapely

    from cellsam_core.assignment.fit import FitCheck


@dataclass(frozen=True)
class Owners:
    """Owners of a chunk of transcripts.

    Attributes
    ----------
    cell_id
        ``(n,)`` uint32, 0 for none.
    n_outside
        Transcripts outside the image.
    n_contested
        Transcripts that more than one cell covers.
    in_nucleus
        ``(n,)`` bool; None where nuclei are not known.
    """

    cell_id: npt.NDArray[np.uint32]
    n_outside: int = 0
    n_contested: int = 0
    in_nucleus: npt.NDArray[np.bool_] | None = None


class Cells(Protocol):
    """Cells of a sample, whatever they were drawn as."""

    @property
    def table(self) -> pd.DataFrame:
        """One row a cell, sorted by ``cell_id``, for the AnnData."""

    @property
    def warnings(self) -> list[str]:
        """Sentences for the report."""

    @property
    def has_nuclei(self) -> bool:
        """True if the transcripts in nuclei are known."""

    @property
    def um_to_px(self) -> npt.NDArray[np.float64] | None:
        """Transform from the slide to pixels of the image, 3x3; None if there is no image."""

    def fit_check(self) -> FitCheck:
        """Test that transcripts and cells belong together."""

    def owners(self, transcripts: pa.RecordBatch) -> Owners:
        """Give each transcript of a chunk its one owner."""

    def owner_probability(
        self, transcripts: pa.RecordBatch, owners: Owners, localisation_error_um: float
    ) -> npt.NDArray[np.float32]:
        """Chance of each owner; see :func:`.uncertainty.owner_probability`."""

    def outlines(self) -> Iterator[tuple[int, shapely.Geometry]]:
        """Yield ``(cell_id, polygon in um)`` in the order of the table."""

    def shapes(self) -> pd.DataFrame:
        """Measure perimeter, axes and so on in um, in the order of the table."""
