"""Interface of the readers of vendors' folders: choices in, found files out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cellsam_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from cellsam_core.files.plane import Plane
    from cellsam_core.samples.manifest import Fields
    from cellsam_core.samples.transcripts import TranscriptColumns

Z_POLICIES = ("all", "max", "one")
# Which axes of a field's images run against the coordinates of its transcripts: x, y.
ORIENTATIONS = {
    "as_is": (False, False),
    "turned_180": (True, True),
    "mirrored_x": (True, False),
    "mirrored_y": (False, True),
}


@dataclass(frozen=True)
class Choices:
    """Choices of the sample sheet where a folder leaves one; None for no choice.

    Attributes
    ----------
    channels
        Stains to use, in this order.
    pixel_size_um
        Side of a pixel.
    fov
        Field of view or region, where a folder holds several.
    z_plane
        Plane that cells are segmented on.
    z_policy
        ``"all"``: cells of one plane own the transcripts of all planes; ``"max"``: cells of the
        maximum projection do; ``"one"``: cells of one plane own those of their plane, the others
        are left out.
    orientation
        One of `ORIENTATIONS`: how images lie to the coordinates of transcripts (CosMx).
    """

    channels: Sequence[str] | None = None
    pixel_size_um: float | None = None
    fov: str | None = None
    z_plane: int | None = None
    z_policy: str = "all"
    orientation: str = "as_is"


@dataclass(frozen=True)
class Stains:
    """The chosen stain planes of a sample, all of one size."""

    channels: list[str]
    planes: list[Plane]
    shape_yx: tuple[int, int]
    dtype: str
    pixel_size_um: float | None
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class FieldMosaic:
    """Fields of view that are one sample together.

    Attributes
    ----------
    fields
        Where they lie on the image of the sample.
    planes
        ``planes[field][channel]``.
    slide_to_px
        3x3 affine from the vendor's pixels ``(x, y, 1)`` of the whole slide to those of the image.
    example
        Number of a field with transcripts, on which their placement is tested.
    """

    fields: Fields
    planes: list[list[Plane]]
    slide_to_px: npt.NDArray[np.float64]
    example: int


@dataclass(frozen=True)
class Found:
    """Files that a reader found in a folder.

    Attributes
    ----------
    stains
        Images to segment; of the example where there is a `mosaic`.
    table
        Transcripts.
    columns
        Columns of `table`, where their names alone don't say it; None to find them by name.
    um_to_px
        3x3 affine, where the folder has one.
    pixel_size_um
        Side of a pixel, from the sample sheet or else the folder.
    said_um
        Side of a pixel that the vendor's files say, whatever the sample sheet says.
    keep
        Column of `table` and the number in it that a row must have; None keeps all rows.
    labels, boundaries
        The vendor's own cells, as label image (of the example) and as polygons.
    mosaic
        The fields, where all of several are used; `table` then has pixels of each field.
    mirror
        See :class:`~cellsam_core.samples.manifest.TranscriptSource`.
    min_qv
        Least quality of a transcript, as the vendor's own counts have it; None for none.
    panel
        Files that name the features of the whole panel.
    warnings
        Sentences for the report.
    kit
        Channels of each role, if the stains are those of the vendor's kit of several.
    """

    stains: Stains
    table: Path
    columns: TranscriptColumns | None = None
    um_to_px: npt.NDArray[np.float64] | None = None
    pixel_size_um: float | None = None
    said_um: float | None = None
    keep: tuple[str, float] | None = None
    labels: Path | None = None
    boundaries: Path | None = None
    mosaic: FieldMosaic | None = None
    mirror: tuple[float | None, float | None] = (None, None)
    min_qv: float | None = None
    panel: list[Path] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    kit: dict[str, list[str]] = field(default_factory=dict)


def refuse_z(folder: Path, choices: Choices) -> None:
    """Refuse a choice of z planes where the images have none."""
    if choices.z_plane is not None or choices.z_policy != "all":
        raise InputError(
            folder,
            found="one image of each stain, without z planes",
            expected="no z_plane and no z_policy for it",
            remedy="leave these columns of the sample sheet empty",
        )


def refuse_orientation(folder: Path, choices: Choices) -> None:
    """Refuse a choice of the orientation where images have only one."""
    if choices.orientation != "as_is":
        raise InputError(
            folder,
            found=f"orientation {choices.orientation} asked for",
            expected="orientation only for CosMx folders",
            remedy="leave this column of the sample sheet empty",
        )


def refuse_fov(folder: Path, choices: Choices) -> None:
    """Refuse a choice of a field of view where a folder is one image."""
    if choices.fov is not None:
        raise InputError(
            folder,
            found=f"fov {choices.fov} asked for in a folder of one image",
            expected="fov only for CosMx and Spatial Genomics folders",
            remedy="leave this column of the sample sheet empty",
        )


def choose(folder: Path, choices: Choices, found: Sequence[str], what: str) -> str:
    """Choose one of several fields of view or regions by the sample sheet.

    Raises
    ------
    InputError
        The one asked for is not there, or there are several and none is asked for.
    """
    if choices.fov is not None and choices.fov in found:
        return choices.fov
    if choices.fov is None and len(found) == 1:
        return found[0]
    listed = ", ".join(found[:10]) + (", ..." if len(found) > 10 else "")
    raise InputError(
        folder,
        found=f"{len(found)} {what} ({listed})",
        expected="the one of this sample" if choices.fov is None else f"one named {choices.fov}",
        remedy="fill the column fov of the sample sheet, one row for each that you want",
    )


def no_images(folder: Path, expected: str) -> InputError:
    """Error for a folder without stain images."""
    return InputError(
        folder, found="no stain images", expected=expected, remedy="correct path or add the images"
    )


def only(folder: Path, files: Sequence[Path], what: str, remedy: str) -> Path:
    """Return the single file of its kind.

    Raises
    ------
    InputError
        There is none, or more than one.
    """
    if len(files) == 1:
        return files[0]
    names = ", ".join(file.name for file in files)
    raise InputError(
        folder,
        found=f"{len(files)} of them ({names})" if files else "none",
        expected=f"one {what}",
        remedy=remedy,
    )
