"""Splits that do not leak: images of one source stay on one side.

Public sets hold the same field twice, and tiles cut from one field. A network that saw one
of two such images in training has seen the other. Duplicates are found by a perceptual hash,
tiles by borders that continue each other.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.fft import dctn
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from skimage.transform import resize

from cellsam_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import pandas as pd
    from numpy.typing import NDArray

HASH_PX = 32
HASH_SIDE = 8
DUPLICATE_MAX_BITS = 8
"""Bits, of 63, in which duplicates may differ; unrelated images of one kind differ in 12 to 40."""

BORDER_MIN_CORRELATION = 0.96
BORDER_MAX_OFFSET = 0.5
"""Difference of the two borders' means, in standard deviations along them."""


def perceptual_hash(grey: NDArray[Any]) -> NDArray[np.bool_]:
    """Signs of the low frequencies of a small copy, brightest left out (Zauner 2010, pHash).

    Parameters
    ----------
    grey
        ``(y, x)``.

    Returns
    -------
    ndarray
        ``(63,)`` bool.
    """
    small = resize(grey, (HASH_PX, HASH_PX), anti_aliasing=True, preserve_range=True)
    low = dctn(small, norm="ortho")[:HASH_SIDE, :HASH_SIDE].ravel()[1:]
    return np.asarray(low > np.median(low))


def fill_sources(rows: pd.DataFrame, images: Sequence[NDArray[Any]]) -> pd.Series[str]:
    """Name the source of each row that has none: that of an image that it is like, or a new one.

    Parameters
    ----------
    rows
        Columns ``set``, ``image`` and ``source``; a source that is given stays.
    images
        Grey image ``(y, x)`` of each row.

    Returns
    -------
    Series
        Sources; new ones are ``<set>:<number>``.

    Raises
    ------
    InputError
        An image without a source is like images of two sources.
    """
    sources = rows["source"].copy()
    taken = set(sources.dropna())
    numbers = group_by_source(images, rows["set"].to_numpy())
    for _, group in rows.groupby(numbers, sort=False):
        given = group["source"].dropna().unique()
        new = group[group["source"].isna()]
        if len(new) and len(given) > 1:
            raise InputError(
                f"image {new['image'].iloc[0]}",
                found=f"that it is like images of the sources {given[0]} and {given[1]}",
                expected="images of one field or experiment under one source",
                remedy="give them one source, or fill in the source of this image",
            )
        name = given[0] if len(given) else _new_name(group["set"].iloc[0], taken)
        taken.add(name)
        sources[new.index] = name
    return sources


def _new_name(set_name: str, taken: Collection[str]) -> str:
    return next(n for k in count() if (n := f"{set_name}:{k:03d}") not in taken)


def group_by_source(
    images: Sequence[NDArray[Any]], sets: NDArray[Any] | None = None
) -> NDArray[np.int_]:
    """Give each image the number of its source: duplicates and tiles of one field share a number.

    Parameters
    ----------
    images
        Grey images ``(y, x)`` of any shapes.
    sets
        Data set of each ``(n,)``: copies are looked for in all, tiles in one. None: one set.

    Returns
    -------
    ndarray
        ``(n,)`` int from 0.
    """
    alike = _duplicates(images)
    in_one_set = True if sets is None else sets[:, None] == sets[None]
    for across in (False, True):
        alike |= _neighbours([i.T if across else i for i in images]) & in_one_set
    return np.asarray(connected_components(coo_array(alike), directed=False)[1])


def _duplicates(images: Sequence[NDArray[Any]]) -> NDArray[np.bool_]:
    """Compare hashes under the eight turns and flips: ``(n, n)``."""
    turned = np.array(
        [[perceptual_hash(np.rot90(v, k)) for v in (i, i.T) for k in range(4)] for i in images]
    )
    bits = [(straight != turned).sum(-1).min(-1) for straight in turned[:, :1]]
    return np.asarray(bits) <= DUPLICATE_MAX_BITS


def _neighbours(images: Sequence[NDArray[Any]]) -> NDArray[np.bool_]:
    """Find pairs where the last column of one continues in the first column of the other."""
    found = np.zeros((len(images), len(images)), bool)
    heights = np.array([len(i) for i in images])
    for height in np.unique(heights):
        index = np.flatnonzero(heights == height)
        last = np.array([images[k][:, -1] for k in index.tolist()])
        first = np.array([images[k][:, 0] for k in index.tolist()])
        correlation = _standard(last) @ _standard(first).T / height
        spread = np.minimum(last.std(1)[:, None], first.std(1)[None]) + 1e-9
        offset = np.abs(last.mean(1)[:, None] - first.mean(1)[None]) / spread
        match = (correlation > BORDER_MIN_CORRELATION) & (offset < BORDER_MAX_OFFSET)
        found[np.ix_(index, index)] = match & ~np.eye(len(index), dtype=bool)
    return found


def _standard(rows: NDArray[Any]) -> NDArray[Any]:
    centred = rows - rows.mean(1, keepdims=True, dtype=float)
    return np.asarray(centred / (rows.std(1, keepdims=True, dtype=float) + 1e-9))


def choose_split(rows: pd.DataFrame, *, validation_share: float, seed: int) -> pd.Series:
    """Put whole sources into ``validation`` until each modality has its share of images.

    Parameters
    ----------
    rows
        Columns ``modality``, ``source`` and ``split``. A row whose split is given keeps it,
        and so does the rest of its source.
    validation_share
        Fraction of the images of each modality.
    seed
        Seed of the order of the sources.

    Returns
    -------
    Series
        ``train``, ``validation`` or what was given.

    Raises
    ------
    InputError
        Rows of one source are given two splits.
    """
    rng = np.random.default_rng(seed)
    given = rows[rows["split"].notna()].groupby("source")["split"].unique()
    torn = given[given.map(len) > 1]
    if len(torn):
        raise InputError(
            f"source {torn.index[0]}",
            found=f"images in {' and '.join(sorted(torn.iloc[0]))}",
            expected="all images of a source in one split",
            remedy="correct the column `split` or `source` of the manifest",
        )
    split = rows["source"].map(given.str[0]).astype(object)
    for _, group in rows[split.isna()].groupby("modality"):
        sources = group["source"].value_counts(sort=False).sort_index()
        wanted = round(validation_share * len(group))
        for source in rng.permutation(sources.index.to_numpy()):
            n_images = int(sources[source])
            side = "validation" if n_images <= wanted else "train"
            wanted -= n_images if side == "validation" else 0
            split[rows["source"] == source] = side
    return split
