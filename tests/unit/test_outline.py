"""Outlines along the edges of pixels, of many masks at once."""

from __future__ import annotations

import numpy as np
import shapely

from cellsam_core.labels import outline as module
from cellsam_core.labels.outline import outlines


def masks_of_every_kind() -> list[tuple[np.ndarray, int, int]]:
    rng = np.random.default_rng(3)
    disc = np.hypot(*(np.mgrid[:21, :21] - 10)) < 9
    ring = disc & ~np.pad(disc[3:-3, 3:-3], 3)
    shapes = [
        np.ones((1, 1), bool),
        disc,
        ring,  # a hole
        np.array([[1, 0], [0, 1]], bool),  # two pieces that touch at a corner
        np.array([[1, 0, 1, 1]], bool),  # two pieces
        np.pad(ring, 2) | np.pad(np.ones((3, 3), bool), 11),  # a piece in a hole
        *(rng.random(rng.integers(1, 12, 2)) < 0.6 for _ in range(60)),
    ]
    return [(mask, 7 * k, 1000 - 3 * k) for k, mask in enumerate(shapes) if mask.any()]


def by_pixels(mask: np.ndarray, y0: int, x0: int) -> shapely.Geometry:
    y, x = np.nonzero(mask)
    return shapely.union_all(shapely.box(x + x0 - 0.5, y + y0 - 0.5, x + x0 + 0.5, y + y0 + 0.5))


def test_outlines_are_the_unions_of_the_pixels() -> None:
    masks = masks_of_every_kind()
    found = list(outlines(masks))
    assert len(found) == len(masks)
    for shape, mask in zip(found, masks, strict=True):
        assert shape.is_valid
        assert shape.equals(by_pixels(*mask))
        assert shape.area == np.count_nonzero(mask[0])


def test_an_outline_does_not_depend_on_the_masks_beside_it(monkeypatch) -> None:
    masks = masks_of_every_kind()
    alone = shapely.to_wkb([next(outlines([mask])) for mask in masks])
    assert shapely.to_wkb(list(outlines(masks))).tolist() == alone.tolist()
    monkeypatch.setattr(module, "MAX_CANVAS_PX", 400)
    assert shapely.to_wkb(list(outlines(masks))).tolist() == alone.tolist()
    assert list(outlines([])) == []
