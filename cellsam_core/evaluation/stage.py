"""Scores of a segmentation or a tracking against ground truth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd

from cellsam_core.errors import InputError
from cellsam_core.evaluation.segmentation import score_pairs
from cellsam_core.evaluation.tracking import ArrayMovie, Movie, score_movies
from cellsam_core.files.tables import plain_numbers, refuse_missing
from cellsam_core.labels.by_name import label_files
from cellsam_core.labels.masks import refuse_mask
from cellsam_core.labels.pieces import SplitNotes
from cellsam_core.labels.source import open_labels
from cellsam_core.tracking.consistent import plain_objects
from cellsam_core.tracking.corrections import correct_frames
from cellsam_core.tracking.ctc import read_ctc, relabel
from cellsam_core.tracking.lineage import split_tracks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from cellsam_core.tracking.tracks import Tracks

    Labels = NDArray[np.integer[Any]]
    LabelImages: TypeAlias = str | Path | Labels | Sequence[Labels]
    TrackTable: TypeAlias = (
        Tracks | pd.DataFrame | NDArray[np.integer[Any]] | Sequence[Sequence[int]]
    )
    TrackedMovie: TypeAlias = str | Path | Tracks | tuple[Sequence[Labels] | Labels, TrackTable]

TRACK_COLUMNS = ["track_id", "first_frame", "last_frame", "parent_id"]


def evaluate_segmentation(
    predicted: LabelImages, truth: LabelImages
) -> dict[str, float | int | None]:
    """Score label images against true ones.

    Parameters
    ----------
    predicted, truth
        Two folders of label images, or label images in memory: one ``(y, x)``, or
        several as ``(n, y, x)`` or as a list. Values are integers, 0 = background. Images of two
        folders belong together by name; where some are named ``<name>_label``, ``_mask`` or
        ``_cp_masks``, or are a ``_seg.npy`` of Cellpose, the others are taken for raw images.
        Images in memory belong together by their order.

    Returns
    -------
    dict
        ``f1_50`` (mean over images, as in the CellSAM paper), ``f1_50_pooled`` (over all cells),
        ``pq`` (panoptic quality), ``seg`` (of the Cell Tracking Challenge), ``ap_mean`` and
        ``ap_50`` to ``ap_95`` (TP / (TP + FP + FN) at an intersection over union of 0.50 to 0.95),
        ``n_images``, ``n_true`` and ``n_predicted``. An image without a cell in either is perfect.
        A score that is not defined is None.

    Raises
    ------
    InputError
        An image has no counterpart or one of another shape, or can't be read.

    Examples
    --------
    >>> import numpy as np
    >>> import cellsam_core as cc
    >>> truth = np.kron([[1, 0], [0, 2]], np.ones((4, 4), int))
    >>> predicted = np.where(truth == 1, 7, 0)
    >>> scores = cc.evaluate_segmentation(predicted, truth)
    >>> round(scores["f1_50"], 3), scores["n_true"], scores["n_predicted"]
    (0.667, 2, 1)
    """
    is_path = [isinstance(images, str | Path) for images in (predicted, truth)]
    if all(is_path):
        return score_pairs(_pairs_on_disk(Path(predicted), Path(truth)))  # type: ignore[arg-type]
    if any(is_path):
        raise InputError(
            "arguments `predicted` and `truth`",
            found="a path and images in memory",
            expected="two paths, or images in memory on both sides",
            remedy="read the label images of the path first",
        )
    return score_pairs(_pairs_in_memory(_images("predicted", predicted), _images("truth", truth)))


def evaluate_tracking(result: TrackedMovie, truth: TrackedMovie) -> dict[str, float | None]:
    """Score a tracked movie against the truth, with the scores of the Cell Tracking Challenge.

    Parameters
    ----------
    result
        Tracks that :func:`cellsam_core.track` returned; or a folder in the format of the
        challenge, with ``maskNNN.tif`` and ``res_track.txt``; or a pair of label images
        ``(t, y, x)`` and their tracks. The tracks of a pair are those of
        :func:`cellsam_core.track`, or, where the value of a label is the id of its track, a table
        with the columns track_id, first_frame, last_frame and parent_id (0 = none) or an array
        ``(n, 4)`` of these.
    truth
        Likewise; a folder holds ``man_trackNNN.tif`` and ``man_track.txt``, itself or in ``TRA``,
        and, for the score ``seg``, ``SEG/man_segNNN.tif``.

    Returns
    -------
    dict
        ``det``, ``tra``, ``lnk``, ``seg`` (None without ``SEG``), ``division_f1``,
        ``division_f1_within_1`` (one frame of tolerance) and ``mbc`` (mitotic branching
        correctness, TP / (TP + FP + FN); None where neither has a division),
        ``complete_tracks`` (F score), and the counts of the graph operations and divisions.

    Raises
    ------
    InputError
        Files are missing, or masks and tracks contradict each other.

    Examples
    --------
    >>> import cellsam_core as cc
    >>> small = cc.MovieOptions(frames=3, size_px=64, cells=3, diameter_px=20)
    >>> movie = cc.simulate_movie(seed=1, options=small)
    >>> truth = movie.labels, movie.tracks
    >>> cc.evaluate_tracking(truth, truth)["tra"]
    1.0
    """
    if not isinstance(truth, str | Path):
        return score_movies(_movie("the result", result), _movie("the truth", truth))
    root = Path(truth)
    true = read_ctc(root / "TRA" if (root / "TRA").is_dir() else root, "man_track")
    return score_movies(_movie("the result", result), true, root / "SEG")


def _movie(name: str, movie: TrackedMovie) -> Movie:
    """Bring a tracked movie to the conventions of the Cell Tracking Challenge."""
    if isinstance(movie, str | Path):
        return read_ctc(movie)
    if isinstance(movie, tuple):
        return _in_memory(name, *movie)
    labels: Any = getattr(movie, "labels", None)
    if labels is None:
        raise InputError(
            name,
            found="tracks without their label images",
            expected="what `cellsam_core.track` returned, or a pair of label images and tracks",
            remedy="give the pair",
        )
    frames = (labels.frame(index) for index in range(labels.n_frames))
    return _in_memory(name, correct_frames(frames, getattr(movie, "corrections", ())), movie)


def _in_memory(name: str, labels: Iterable[Labels] | Labels, tracks: Any) -> ArrayMovie:
    images = [np.asarray(image) for image in labels]
    if isinstance(tracks, pd.DataFrame) or not hasattr(tracks, "objects"):
        return ArrayMovie(name, images, _rows(name, tracks))
    objects, table = plain_objects(tracks.objects, tracks.tracks)
    piece, pieces = split_tracks(objects, table, at_gaps=True)
    frame, label = objects["frame"].to_numpy(), objects["label"].to_numpy()
    shown = [
        relabel(image, label[frame == index], piece.to_numpy()[frame == index])
        for index, image in enumerate(images)
    ]
    rows = pieces[["piece", "first_frame", "last_frame", "parent"]].to_numpy(np.int64)
    return ArrayMovie(name, shown, rows)


def _rows(name: str, tracks: Any) -> NDArray[np.int64]:
    """Take a table of tracks, or rows ``(n, 4)``, as rows of whole numbers."""
    if not isinstance(tracks, pd.DataFrame):
        array = np.asarray(tracks)
        if array.ndim != 2 or array.shape[1] != len(TRACK_COLUMNS):
            raise InputError(
                name,
                found=f"tracks of shape {array.shape}",
                expected="shape (n, 4): track, first frame, last frame, parent",
                remedy="give one row for each track, with 0 for no parent",
            )
        tracks = pd.DataFrame(array, columns=TRACK_COLUMNS)
    refuse_missing(name, tracks, TRACK_COLUMNS)
    table = plain_numbers(name, tracks, TRACK_COLUMNS)
    return table[TRACK_COLUMNS].to_numpy(np.int64)


def _images(name: str, images: Any) -> list[Labels]:
    """Make a list of the images; one image ``(y, x)`` is a list of one."""
    if isinstance(images, Mapping):
        raise InputError(
            f"argument `{name}`",
            found="a mapping",
            expected="label images in order",
            remedy="give a list of its values, on both sides in the same order",
        )
    if hasattr(images, "ndim"):
        images = np.asarray(images)
        return [images] if images.ndim == 2 else list(images)
    return [np.asarray(image) for image in images]


def _pairs_in_memory(
    predicted: Sequence[Labels], truth: Sequence[Labels]
) -> Iterator[tuple[Labels, Labels]]:
    if len(predicted) != len(truth):
        raise InputError(
            "argument `predicted`",
            found=f"{len(predicted)} image(s)",
            expected=f"{len(truth)}, one for each of `truth`",
            remedy="add an empty label image where no cell was found",
        )
    for index, (found, true) in enumerate(zip(predicted, truth, strict=True)):
        if found.shape != true.shape:
            raise InputError(
                f"image {index} of `predicted`",
                found=f"shape {found.shape}",
                expected=f"{true.shape}, that of its truth",
                remedy="compare images of one size",
            )
        yield (
            _labels_in_memory(f"image {index} of `predicted`", found),
            _labels_in_memory(f"image {index} of `truth`", true),
        )


def _labels_in_memory(name: str, labels: Labels) -> Labels:
    """Refuse what is no label image, as for files; take whole numbers in floating point."""
    whole = labels.dtype.kind == "f" and np.isfinite(labels).all() and not (labels % 1).any()
    if labels.ndim != 2 or not (labels.dtype.kind in "ui" or whole) or labels.min(initial=0) < 0:
        raise InputError(
            name,
            found=f"an array of shape {labels.shape} and type {labels.dtype}",
            expected="a label image: whole numbers (y, x), 0 = background",
            remedy="number the cells of a mask, for example with skimage.measure.label",
        )
    SplitNotes().add(name, refuse_mask(name, labels))
    return labels.astype(np.int64) if whole else labels


def _pairs_on_disk(predicted: Path, truth: Path) -> Iterator[tuple[Labels, Labels]]:
    truths = label_files(truth)
    predictions = label_files(predicted)
    absent = sorted(set(truths) ^ set(predictions))
    if absent:
        is_missed = absent[0] in truths
        raise InputError(
            predicted if is_missed else truth,
            found=f"no {'prediction' if is_missed else 'truth'} for {absent[0]}",
            expected="label images of the same names in both folders",
            remedy="add it, an empty label image if no cell was found, or remove the other",
        )
    for name, path in predictions.items():
        a, b = open_labels(path), open_labels(truths[name])
        if (a.n_frames, *a.shape_yx) != (b.n_frames, *b.shape_yx):
            raise InputError(
                path,
                found=f"{a.n_frames} frame(s) of shape {a.shape_yx}",
                expected=f"{b.n_frames} of {b.shape_yx}, those of {truths[name].name}",
                remedy="compare images of one size",
            )
        for index in range(a.n_frames):
            yield a.frame(index), b.frame(index)
