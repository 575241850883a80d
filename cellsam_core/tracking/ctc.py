"""Format of the Cell Tracking Challenge: label images and a table of tracks.

The files are ``maskNNN.tif`` and ``res_track.txt`` for results, ``man_trackNNN.tif`` and
``man_track.txt`` for ground truth.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from cellsam_core.errors import InputError
from cellsam_core.files.atomic import atomic_path
from cellsam_core.files.plane import Plane
from cellsam_core.files.planes import read_plane
from cellsam_core.labels.rows import rows_of
from cellsam_core.tracking.lineage import split_tracks

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    from numpy.typing import NDArray


@dataclass(frozen=True)
class CtcMovie:
    """A tracked movie on disk.

    Attributes
    ----------
    folder
        Folder of the movie.
    masks
        Paths of the label images, keyed by frame number.
    tracks
        ``(n, 4)`` rows L B E P: label, first frame, last frame, parent (0 for none).
    """

    folder: Path
    masks: dict[int, Path]
    tracks: NDArray[np.int64]

    def frame(self, index: int) -> NDArray[Any]:
        """Read the ``(y, x)`` labels of a frame."""
        path = self.masks[index]
        labels = read_plane(Plane(str(path)))
        if labels.dtype.kind not in "iu":
            raise InputError(
                path,
                found=f"pixels of type {labels.dtype}",
                expected="a label image of integers",
                remedy="give label images",
            )
        return labels


def read_ctc(folder: str | Path, name: str = "mask") -> CtcMovie:
    """Open a tracked movie of the Cell Tracking Challenge.

    Parameters
    ----------
    folder
        Folder with ``<name>NNN.tif`` and the table of tracks.
    name
        ``mask`` (with ``res_track.txt``) for results, ``man_track`` (with ``man_track.txt``) for
        ground truth.

    Raises
    ------
    InputError
        Masks or table are missing, or a row of the table is not four integers.
    """
    root = Path(folder)
    masks: dict[int, Path] = {}
    for path in sorted(root.iterdir()) if root.is_dir() else ():
        match = re.fullmatch(rf"{name}_?(\d+)\.tiff?", path.name, re.IGNORECASE)
        if match is None:
            continue
        other = masks.setdefault(int(match[1]), path)
        if other is not path:
            raise InputError(
                root,
                found=f"{other.name} and {path.name}",
                expected="one label image for each frame",
                remedy="move the one that is of another movie to another folder",
            )
    table = root / ("res_track.txt" if name == "mask" else f"{name}.txt")
    if not masks or not table.is_file():
        raise InputError(
            root,
            found=f"{len(masks)} label images and {'a' if table.is_file() else 'no'} {table.name}",
            expected=f"{name}000.tif, ... and {table.name}",
            remedy="give a folder in the format of the Cell Tracking Challenge",
        )
    try:
        rows = [
            [int(word) for word in line.split()]
            for line in table.read_text("utf-8-sig").splitlines()
        ]
        rows = [row for row in rows if row]
        if any(len(row) != 4 for row in rows):
            raise ValueError(f"a row of {next(len(row) for row in rows if len(row) != 4)} numbers")
        tracks = np.array(rows, dtype=np.int64).reshape(-1, 4)
    except ValueError as error:
        raise InputError(
            table,
            found=str(error),
            expected="four integers a row: label, first frame, last frame, parent",
            remedy="correct the table",
        ) from error
    return CtcMovie(root, dict(sorted(masks.items())), tracks)


def write_ctc(
    folder: str | Path,
    frames: Iterable[NDArray[np.integer[Any]]],
    n_frames: int,
    objects: pd.DataFrame,
    tracks: pd.DataFrame,
) -> None:
    """Write a tracked movie in the format of the Cell Tracking Challenge.

    The format requires that a label exists in every frame from its first to its last, and ends
    before its children begin. After a gap a track therefore continues under a new label whose
    parent is the piece before the gap, and so does a mother when her bud appears. Masks are uint16,
    or uint32 for more than 65,535 labels (which the challenge's own programs can't read). A movie
    without cells gives an empty ``res_track.txt``, which validators refuse because they require at
    least one track.

    Parameters
    ----------
    folder
        Folder to write; an existing one is replaced.
    frames
        ``(y, x)`` label images that were tracked, in order of time; each is read once.
    n_frames
        Number of frames; file names have as many digits as the last frame needs, at least three.
    objects, tracks
        Tables of :class:`cellsam_core.tracking.tracks.Tracks`.
    """
    piece, pieces = split_tracks(objects, tracks, at_gaps=True)
    dtype = np.uint16 if len(pieces) <= np.iinfo(np.uint16).max else np.uint32
    label, new = objects["label"].to_numpy(), piece.to_numpy()
    bounds = np.searchsorted(objects["frame"].to_numpy(), np.arange(n_frames + 1))
    digits = max(3, len(str(n_frames - 1)))
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        for index, labels in enumerate(frames):
            here = slice(bounds[index], bounds[index + 1])
            tifffile.imwrite(
                temporary / f"mask{index:0{digits}d}.tif",
                relabel(labels, label[here], new[here]).astype(dtype, copy=False),
                photometric="minisblack",
                compression="zlib",
                metadata=None,
            )
        rows = pieces[["piece", "first_frame", "last_frame", "parent"]].to_numpy()
        text = "".join(" ".join(map(str, row)) + "\n" for row in rows.tolist())
        (temporary / "res_track.txt").write_text(text)


def relabel(
    labels: NDArray[np.integer[Any]],
    old: NDArray[np.integer[Any]],
    new: NDArray[np.integer[Any]],
) -> NDArray[np.int64]:
    """Replace every label `old` by `new`; all other labels become 0.

    Parameters
    ----------
    labels
        ``(y, x)`` label image.
    old, new
        ``(n,)`` label values.
    """
    order = np.argsort(old)
    row = rows_of(labels.astype(np.int64), old[order])
    # Row -1, of labels that are not in the list, is the last one.
    replaced: NDArray[np.int64] = np.append(new[order], 0).astype(np.int64)[row]
    return replaced
