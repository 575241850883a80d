"""Facts of a sample that travel with its OME-Zarr images: its name, and its place on the slide."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cellsam_core.errors import InputError
from cellsam_core.files import omezarr
from cellsam_core.files.lazy import zarr

KEY = "cellsam_core_sample"

Affine = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Facts:
    """Facts of a sample.

    Attributes
    ----------
    sample
        Name; empty where it is not known.
    um_to_px
        3x3 affine, row by row, from micrometres on the slide ``(x, y, 1)`` to pixels of the
        image; None for a sample whose place on a slide is not known.
    """

    sample: str = ""
    um_to_px: list[list[float]] | None = None

    def slide_um(self, xy_px: Affine, pixel_size_um: float | None) -> Affine:
        """Place points of the image on the slide.

        Parameters
        ----------
        xy_px
            Points ``(n, 2)``, x and y in pixels.
        pixel_size_um
            Side of a pixel, for a sample without a place on a slide; None if unknown.

        Returns
        -------
        ndarray, (n, 2)
            x and y in micrometres on the slide. Without a place on a slide, in micrometres from
            the centre of the first pixel; NaN where the size of a pixel is not known either.
        """
        if self.um_to_px is None:
            return np.asarray(xy_px * (np.nan if pixel_size_um is None else pixel_size_um))
        px_to_um = np.linalg.inv(np.array(self.um_to_px))
        return np.asarray(xy_px @ px_to_um[:2, :2].T + px_to_um[:2, 2])


NO_FACTS = Facts()


def write_facts(path: str | Path, facts: Facts) -> None:
    """Write facts into the attributes of an OME-Zarr folder that is being made."""
    record: dict[str, Any] = {"sample": facts.sample}
    if facts.um_to_px is not None:
        record["slide_um_to_px"] = facts.um_to_px
    zarr.open_group(str(path), mode="r+").attrs[KEY] = record


def read_facts(path: str | Path) -> Facts:
    """Read the facts of an OME-Zarr folder; none for the files of other programs."""
    if not (Path(path).is_dir() and omezarr.is_omezarr(Path(path))):
        return Facts()
    try:
        record: Any = zarr.open_group(str(path), mode="r").attrs.get(KEY)
        if record is None:
            return Facts()
        matrix = record.get("slide_um_to_px")
        if matrix is not None and np.array(matrix, dtype=np.float64).shape != (3, 3):
            raise ValueError(KEY)
        return Facts(str(record["sample"]), matrix)
    except (LookupError, TypeError, AttributeError, ValueError, OSError) as error:
        raise InputError(
            path,
            found="broken facts of the sample in its attributes",
            expected="them as `cellsam-core preprocess` writes them",
            remedy="make the folder again",
        ) from error
