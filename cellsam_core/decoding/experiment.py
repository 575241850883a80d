"""Raw rounds of imaging: what a folder holds, field by field, in whichever layout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.errors import InputError
from cellsam_core.files.planes import read_plane

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellsam_core.decoding.codebook import Codebook
    from cellsam_core.files.plane import Plane


@dataclass(frozen=True)
class RawField:
    """One field of view.

    Attributes
    ----------
    name
        As the files call it.
    origin_um
        ``(x, y)`` of the centre of the first pixel.
    bits
        ``bits[z][bit]``, in the order of the codebook's bits.
    fiducials
        Imaging round -> image of the beads.
    stains
        Name -> plane.
    """

    name: str
    origin_um: tuple[float, float]
    bits: list[list[Plane]]
    fiducials: dict[int, Plane]
    stains: dict[str, Plane]


@dataclass(frozen=True)
class RawExperiment:
    """All fields of a sample; they show the same bits, planes and stains.

    Attributes
    ----------
    format
        ``merlin`` or ``rounds``.
    codebook
        Features and their bits.
    fields
        At least one.
    round_of_bit, round_of_stain
        Imaging rounds.
    pixel_size_um
        Side of a pixel.
    shape_yx
        Height and width of a field in pixels, as `read` gives it.
    colour_of_bit, colour_of_stain
        Colours of the light; empty where the files do not say any.
    transpose, flip_horizontal, flip_vertical
        What brings camera images into the stage's axes, done in this order.
    """

    format: str
    codebook: Codebook
    fields: list[RawField]
    round_of_bit: list[int]
    round_of_stain: dict[str, int]
    pixel_size_um: float
    shape_yx: tuple[int, int]
    colour_of_bit: list[str]
    colour_of_stain: dict[str, str]
    transpose: bool = False
    flip_horizontal: bool = False
    flip_vertical: bool = False

    def read(self, plane: Plane) -> NDArray[Any]:
        """Read a plane, ``(y, x)``, in the stage's axes.

        Raises
        ------
        InputError
            It can't be read or is of another size than the first one.
        """
        image = read_plane(plane)
        image = image.T if self.transpose else image
        image = image[:, ::-1] if self.flip_horizontal else image
        image = image[::-1] if self.flip_vertical else image
        if image.shape != self.shape_yx:
            raise InputError(
                plane.path,
                found=f"{image.shape[1]} x {image.shape[0]} px in page {plane.page}",
                expected=f"the {self.shape_yx[1]} x {self.shape_yx[0]} px of the first image",
                remedy="give fields of different sizes as samples of their own; if the rounds of"
                " one field differ, export all of them with one binning and crop",
            )
        return np.ascontiguousarray(image)
