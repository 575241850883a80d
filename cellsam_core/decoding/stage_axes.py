"""Positions of fields, tested by their overlaps: axes of the stage, and fields upon one another."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from cellsam_core.decoding.positions import (
    MIN_SHARED,
    neighbours,
    points_near,
    refine_positions,
)
from cellsam_core.errors import InputError
from cellsam_core.mosaic import Mosaic

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from cellsam_core.decoding.positions import Points, Refined

    Floats = NDArray[np.float64]
    Pair = tuple[int, int, NDArray[np.int64]]

ENOUGH_LINKED = 0.75
"""Share of the pairs of neighbours from which on their places are not doubted."""

MORE_LINKS = 1.5
"""Least ratio of the links along other axes to those along the axes as they are."""

SURE_SHARED = 5 * MIN_SHARED
"""Fewest molecules and beads that other axes must explain beyond those as they are."""

MANY_COVERED = 0.5
"""Share of a field that a neighbour covers, above which they lie upon one another."""


def check_positions(
    path: str | Path,
    stage: Mosaic,
    points_of: Callable[[int], Points],
    stage_error_px: float,
    found: Refined,
) -> None:
    """Refuse positions that the overlaps of the fields contradict.

    Neighbours show the same molecules. If a stage counts an axis the other way than the images,
    fields that the table makes neighbours along it are none, and show nothing in common; the
    neighbours of the other axis may still be right, so that every field has a link.

    Parameters
    ----------
    path
        Folder of the raw rounds, for messages.
    stage
        Places as the stage says.
    points_of
        Function that returns the points of a field that its neighbours see as well.
    stage_error_px
        Largest error of a position along each axis, in pixels; 0 tests nothing.
    found
        Links between the fields as the stage says.

    Raises
    ------
    InputError
        The fields fit much better with other axes, or they lie upon one another although they
        show different molecules.
    """
    beside = _beside(stage) if stage_error_px > 0 else []
    # Most slides end at the first test, which reads no points.
    if len(found.links) >= ENOUGH_LINKED * len(beside):
        return
    shape = stage.field_shape_yx
    n_telling = sum(_n_seen(points_of, pair, shape) >= MIN_SHARED for pair in beside)
    if len(found.links) >= ENOUGH_LINKED * n_telling:
        return
    _refuse_other_axes(path, stage, points_of, stage_error_px, found)
    covered = _covered(stage)
    if not found.links and np.median(covered) > MANY_COVERED:
        raise InputError(
            path,
            found=f"{len(covered)} fields that lie upon one another by their positions (a neighbour"
            f" covers {np.median(covered):.0%} of a field) and show different molecules",
            expected="positions of the fields in micrometres, and the pixel size"
            f" ({stage.pixel_size_um:g} um here), too",
            remedy="correct the table of positions or the pixel size; multiply positions in mm by"
            " 1000, and divide a pixel size in nm by 1000",
        )


def _refuse_other_axes(
    path: str | Path,
    stage: Mosaic,
    points_of: Callable[[int], Points],
    stage_error_px: float,
    found: Refined,
) -> None:
    links = {"x, y": found.links}
    xy = stage.offset_yx[:, ::-1].astype(float)
    for order, signs in product(((0, 1), (1, 0)), product((1, -1), repeat=2)):
        words = ", ".join(
            "-" * (sign < 0) + "xy"[axis] for axis, sign in zip(order, signs, strict=True)
        )
        if words not in links:
            moved = xy[:, order] * signs
            layout = Mosaic.from_positions(list(map(tuple, moved)), stage.field_shape_yx, 1.0)
            links[words] = refine_positions(layout, points_of, stage_error_px).links
    shared = {words: sum(link.n_shared for link in of) for words, of in links.items()}
    best = max(links, key=lambda words: shared[words])
    n, n_best = len(found.links), len(links[best])
    if n_best < max(n + 1, MORE_LINKS * n) or shared[best] < shared["x, y"] + SURE_SHARED:
        return
    raise InputError(
        path,
        found=f"{n} overlaps in which both fields show the same molecules, and {n_best} with the"
        f" positions {best} instead of x, y",
        expected="positions along the axes of the images: x to the right, y down",
        remedy=f"write {best} in the place of x, y into the table of positions",
    )


def _beside(layout: Mosaic) -> list[Pair]:
    """List the pairs of fields that share a long border."""
    shape = np.array(layout.field_shape_yx)
    return [pair for pair in neighbours(layout) if (np.abs(pair[2]) < shape / 2).any()]


def _n_seen(points_of: Callable[[int], Points], pair: Pair, shape_yx: tuple[int, int]) -> int:
    """Count the points of each field of a pair that lie in their overlap; the lower number."""
    first, second, shift = pair
    own = np.zeros(2)
    one = points_near(points_of(first), own, shift, shape_yx, 0)
    two = points_near(points_of(second), shift, own, shape_yx, 0)
    return min(len(one.kind), len(two.kind))


def _covered(layout: Mosaic) -> Floats:
    """Largest share of each field that another one covers."""
    shape = np.array(layout.field_shape_yx)
    shares = []
    for field in range(len(layout.offset_yx)):
        shift = np.abs(layout.offset_yx[layout.overlapping(field)] - layout.offset_yx[field])
        shares.append((1 - shift / shape).prod(axis=1).max(initial=0.0))
    return np.array(shares)
