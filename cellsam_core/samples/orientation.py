"""Whether images lie to their transcripts as the coordinates say: tested by labels or stains."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from cellsam_core.errors import InputError
from cellsam_core.files.planes import read_plane
from cellsam_core.samples.transcripts import iter_transcripts
from cellsam_core.samples.vendors.contract import ORIENTATIONS

if TYPE_CHECKING:
    from cellsam_core.samples.manifest import TranscriptSource
    from cellsam_core.samples.vendors.contract import Found

MIN_LABEL_AGREEMENT = 0.5
MIN_ROWS = 50
# Of the share of transcripts on their own labels, and of the mean rank of the stain under
# transcripts in cells.
CLEAR_DIFFERENCE = 0.05
N_GREY_VALUES = 100_000


class _Spots(NamedTuple):
    """Transcripts of one image that the vendor gave to cells.

    Attributes
    ----------
    x, y
        ``(n,)`` pixels.
    cell
        ``(n,)`` the vendor's ids.
    """

    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    cell: npt.NDArray[np.object_]

    def turned(self, way: str, shape_yx: tuple[int, int]) -> _Spots:
        """Turn the places on an image."""
        along_x, along_y = ORIENTATIONS[way]
        height, width = shape_yx
        x = width - 1 - self.x if along_x else self.x
        y = height - 1 - self.y if along_y else self.y
        return _Spots(x, y, self.cell)


def check_orientation(
    found: Found, source: TranscriptSource, orientation: str | None, *, can_be_turned: bool
) -> list[str]:
    """Test the placement by the vendor's cells: by their label image, else by the stains.

    Parameters
    ----------
    found, source
        Of the sample; of the example where there are several fields.
    orientation
        That was asked for; None for none, and then stains that contradict are no warning but an
        error.
    can_be_turned
        Images of this vendor may be turned, and then can be turned back.

    Returns
    -------
    list
        A warning where it can't be tested.

    Raises
    ------
    InputError
        Transcripts do not lie on their own cells, or another orientation fits clearly better.
    """
    if found.labels is None and not can_be_turned:
        return []
    spots = _spots_in_cells(found, source)
    if found.labels is None:
        return _check_stains(found, source, spots, orientation)
    return _check_labels(found, source, spots, (orientation or "as_is") if can_be_turned else None)


def _spots_in_cells(found: Found, source: TranscriptSource) -> _Spots | None:
    if found.mosaic is not None:
        example = (found.mosaic.fields.column, float(found.mosaic.example))
        source = replace(source, keep=example)
    batch = next((b for b in iter_transcripts(source) if b.num_rows), None)
    if source.cell is None or batch is None:
        return None
    batch = batch.filter(batch["vendor_cell_id"].is_valid())
    if not batch.num_rows:
        return None
    cell = batch["vendor_cell_id"].to_pandas().astype(str).to_numpy()
    return _Spots(batch["x_px"].to_numpy(), batch["y_px"].to_numpy(), cell)


def _check_labels(
    found: Found, source: TranscriptSource, spots: _Spots | None, orientation: str | None
) -> list[str]:
    from cellsam_core.labels.image import open_label_image
    from cellsam_core.labels.lookup import lookup

    assert found.labels is not None
    tiles = open_label_image(found.labels).tiles
    if tiles.shape_yx != found.stains.shape_yx:
        height, width = found.stains.shape_yx
        raise InputError(
            found.labels,
            found=f"labels of {tiles.shape_yx[1]} x {tiles.shape_yx[0]} px",
            expected=f"the {width} x {height} px of the stain",
            remedy="copy image and labels of one and the same field",
        )
    if spots is None:
        return [
            f"Transcripts without cells of their own can't be compared with {found.labels.name}: "
            "that the axes of both run alike could not be tested."
        ]
    agreement = {}
    for way in ORIENTATIONS:
        at = spots.turned(way, tiles.shape_yx)
        cell_id, _ = lookup(tiles, at.x, at.y)
        agreement[way] = float((cell_id.astype(str) == at.cell).mean())
    better = max(agreement, key=agreement.__getitem__)
    is_worse = agreement[better] - agreement["as_is"] > CLEAR_DIFFERENCE
    if agreement["as_is"] >= MIN_LABEL_AGREEMENT and not (is_worse and orientation is not None):
        return []
    remedy = (
        "check that the y axis of the coordinates points down and that table and labels are of "
        "one segmentation"
    )
    if orientation is not None and agreement[better] >= MIN_LABEL_AGREEMENT:
        remedy = _turn(orientation, better, f"{agreement[better]:.0%} of them are")
    raise InputError(
        source.path,
        found=f"{100 * agreement['as_is']:.0f} % of transcripts on the label of their own cell",
        expected=f"nearly all, by {found.labels.name}",
        remedy=remedy,
    )


def _check_stains(
    found: Found, source: TranscriptSource, spots: _Spots | None, orientation: str | None
) -> list[str]:
    """Compare the stain under transcripts in cells with that where a turned image has them."""
    if spots is None or len(spots.x) < MIN_ROWS:
        return [_untested("few transcripts are in cells")]
    score = _scores(found, spots)
    better = max(score, key=score.__getitem__)
    gain = score[better] - score["as_is"]
    lie = f"transcripts in cells on a stain of the mean rank {score['as_is']:.2f} (of 1)"
    if gain > CLEAR_DIFFERENCE and orientation is not None:
        return [f"There are {lie}; turned ({better}) it would be {score[better]:.2f}."]
    if gain > CLEAR_DIFFERENCE:
        raise InputError(
            source.path,
            found=lie,
            expected=f"a rank not much below that with {better}, {score[better]:.2f}",
            remedy=_turn("as_is", better, "the stain fits")
            + "; or with as_is, if the coordinates are right",
        )
    others = max(value for way, value in score.items() if way != "as_is")
    if score["as_is"] - others > CLEAR_DIFFERENCE:
        return []
    return [_untested("the stain is much the same in all orientations")]


def _scores(found: Found, spots: _Spots) -> dict[str, float]:
    """Mean rank among all pixels of the stain under the transcripts, for each orientation."""
    height, width = shape = found.stains.shape_yx
    scores = dict.fromkeys(ORIENTATIONS, 0.0)
    for plane in found.stains.planes:
        image = read_plane(plane)
        some = np.sort(image.ravel()[:: max(1, image.size // N_GREY_VALUES)])
        for way in ORIENTATIONS:
            at = spots.turned(way, shape)
            row = np.clip(np.rint(at.y), 0, height - 1).astype(np.int64)
            column = np.clip(np.rint(at.x), 0, width - 1).astype(np.int64)
            ranks = [np.searchsorted(some, image[row, column], side) for side in ("left", "right")]
            scores[way] += float(np.mean(ranks)) / len(some) / len(found.stains.planes)
    return scores


def _untested(why: str) -> str:
    return (
        "There are no label images of cells (CellLabels), and "
        f"{why}: that images lie to transcripts as the coordinates say could not be tested."
    )


def _turn(orientation: str, better: str, why: str) -> str:
    """Remedy that turns the images, on top of how they are turned already."""
    both = zip(ORIENTATIONS[orientation], ORIENTATIONS[better], strict=True)
    turned = tuple(now != then for now, then in both)
    name = next(way for way, axes in ORIENTATIONS.items() if axes == turned)
    return f"fill the column orientation of the sample sheet with {name}, with which {why}"
