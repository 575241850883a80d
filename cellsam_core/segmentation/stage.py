"""Stage ``segment``: images -> label images and cell tables."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cellsam_core.errors import InputError
from cellsam_core.labels.source import open_labels
from cellsam_core.models import backend_of, is_published
from cellsam_core.options import options_of, refuse_no_path, refuse_other_type
from cellsam_core.preprocessing.stage import preprocess
from cellsam_core.segmentation.batches import segment_batch, stitch
from cellsam_core.segmentation.cell_table import cell_table
from cellsam_core.segmentation.given_boxes import boxes_of_array, refuse_dropping
from cellsam_core.segmentation.image import open_frames, prepare, read_tile, stains_of
from cellsam_core.segmentation.instances import draw_labels, merge_tiles, resolve_overlaps
from cellsam_core.segmentation.options import ModelOptions, SegmentOptions
from cellsam_core.segmentation.segmenter import Model
from cellsam_core.segmentation.tiles import Tile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from cellsam_core.files.omezarr import OmeZarr
    from cellsam_core.labels.source import LabelSource
    from cellsam_core.models import Preset
    from cellsam_core.preprocessing.frames import Frames
    from cellsam_core.segmentation.image import AnyFrames
    from cellsam_core.segmentation.instances import Instance
    from cellsam_core.segmentation.options import Device, Target
    from cellsam_core.segmentation.segmenter import TileSegmenter
    from cellsam_core.segmentation.weights import WeightsInfo

DEFAULTS = SegmentOptions()
MODEL_IS_LOADED = 'load the model first, as `load_model("tiny")`'


def load_model(
    weights: str | Path = ModelOptions.weights,
    *,
    preset: Preset = ModelOptions.preset,
    device: Device = ModelOptions.device,
    target: Target = ModelOptions.target,
) -> Model:
    """Load the weights of a model.

    Parameters
    ----------
    weights
        ``tiny``, the model that this package ships; ``vit_b``, the published CellSAM; the path
        of a ``.safetensors`` file that ``train`` or ``finetune`` wrote; or a model of another
        package, such as ``cellpose:cyto3``, ``instanseg:fluorescence_nuclei_and_cells`` or
        ``stardist:2D_versatile_fluo``, if that package is installed.
    preset
        Thresholds and precision of the published CellSAM; other weights take their thresholds
        from :class:`cellsam_core.SegmentOptions`.
    device
        ``auto`` takes a GPU if there is one; ``cpu`` or ``cuda``.
    target
        Objects to find in images with a nuclear and a cell stain: ``cell``, or ``nucleus``, for
        which only the nuclear stain is used.

    Returns
    -------
    Model
        The model for :func:`segment` and :func:`segment_frames`.

    Raises
    ------
    InputError
        There is no such file or package, the file is damaged or of another model, or there is
        no GPU.

    Examples
    --------
    >>> import cellsam_core as cc
    >>> model = cc.load_model("tiny", device="cpu")
    >>> model.weights.name, model.device
    ('tiny', 'cpu')
    """
    from cellsam_core.segmentation.weights import choose_device, info

    ModelOptions(weights=str(weights), preset=preset, device=device, target=target)
    chosen = choose_device(device)
    found = info(str(weights))
    if backend_of(found.name):
        return _load_backend(found, preset, chosen, target)
    load = _load_published if is_published(found.path) else _load_tiny
    return replace(load(found, preset, chosen), target=target)


def _load_backend(weights: WeightsInfo, preset: Preset, device: str, target: Target) -> Model:
    from cellsam_core.segmentation.backends.models import load
    from cellsam_core.segmentation.backends.segmenter import BackendSegmenter, refuse_thresholds

    network = load(weights.name, weights.path, device, target)

    def segmenter(options: SegmentOptions) -> TileSegmenter:
        refuse_thresholds(weights.name, options)
        return BackendSegmenter(weights.name, network)

    # The package decides by thresholds of its own.
    record = {"package": network.version, "licence": weights.licence}
    return Model(weights, preset, device, segmenter, lambda _: record, target)


def _load_tiny(weights: WeightsInfo, preset: Preset, device: str) -> Model:
    from cellsam_core.segmentation.tiny.predict import Segmenter
    from cellsam_core.segmentation.weights import load_network

    network = load_network(weights.path, device)

    def segmenter(options: SegmentOptions) -> TileSegmenter:
        return Segmenter(network, device, options, weights.diameter_limits_px)

    return Model(weights, preset, device, segmenter, _recorded)


def _load_published(weights: WeightsInfo, preset: Preset, device: str) -> Model:
    from cellsam_core.segmentation.vit_b.checkpoint import load, supports_bfloat16
    from cellsam_core.segmentation.vit_b.predict import PRESETS, VitBSegmenter

    chosen = PRESETS[preset]
    is_low = chosen.bfloat16 and supports_bfloat16(device)
    network = VitBSegmenter(
        load(Path(weights.path), device=device, bfloat16=is_low), device, chosen
    )
    precision = {"preset": preset, "precision": "bfloat16" if is_low else "float32"}
    # The thresholds of the preset are in force, whatever the options say.
    return Model(
        weights,
        preset,
        device,
        lambda _: network,
        lambda _: precision | _recorded(chosen.thresholds),
    )


def _recorded(options: SegmentOptions) -> dict[str, Any]:
    names = ("score_threshold", "iou_threshold", "mask_threshold")
    return {name: float(getattr(options, name)) for name in names}


def segment(
    image: NDArray[Any],
    model: Model,
    options: SegmentOptions = DEFAULTS,
    *,
    channels: str | Sequence[str] | None = None,
    boxes: ArrayLike | pd.DataFrame | None = None,
    pixel_size_um: float | None = None,
) -> tuple[NDArray[np.uint32], pd.DataFrame]:
    """Preprocess and segment one image in memory.

    Parameters
    ----------
    image
        Raw image ``(y, x)`` or ``(c, y, x)``, any real type.
    model
        Model that :func:`load_model` returned.
    options
        Cell diameter, thresholds, tiles, and cells to drop. Dark cells are kept unless
        `dark_cells` is ``drop``, because an image may be bright-field.
    channels
        Names of the channels, see :func:`cellsam_core.preprocess`; name two of them ``nuclear``
        and ``cell`` to decide which are segmented. A single channel needs no name.
    boxes
        Boxes ``(n, 4)`` x0, y0, x1, y1 in pixels, or a table with these columns. With them, the
        one cell in each box is drawn, and no other cell is searched for.
    pixel_size_um
        Side of a pixel in micrometres; it adds columns in micrometres to the cell table.

    Returns
    -------
    labels : ndarray of uint32, (y, x)
        Label image; 0 is background.
    cells : DataFrame
        One row for each cell: label, centroid, area, bounding box and scores.

    Raises
    ------
    InputError
        The array is no image, its channels can't be recognised, or a box is not in the image.

    Examples
    --------
    >>> import numpy as np
    >>> import cellsam_core as cc
    >>> y, x = np.mgrid[:64, :96]
    >>> discs = [np.hypot(y - 32, x - column) < 12 for column in (24, 70)]
    >>> image = 100 + 900 * np.any(discs, axis=0)
    >>> model = cc.load_model("tiny", device="cpu")
    >>> labels, cells = cc.segment(image, model, cc.SegmentOptions(cell_diameter_px=24))
    >>> labels.shape, len(cells)
    ((64, 96), 2)
    """
    options = options_of(SegmentOptions, options)
    refuse_other_type(model, Model, "model", MODEL_IS_LOADED)
    pixels = np.asarray(image)
    if pixels.ndim not in (2, 3):
        raise InputError(
            "image",
            found=f"an array of shape {pixels.shape}",
            expected="one image (y, x) or (c, y, x)",
            remedy="call preprocess and segment_frames for a movie",
        )
    planes = pixels if pixels.ndim == 3 else pixels[None]
    frames = preprocess(
        planes[None],
        weights=model.weights.given,
        preset=model.preset,
        channels=channels,
        pixel_size_um=pixel_size_um,
    )
    corners = None
    if boxes is not None:
        refuse_dropping(options)
        corners = boxes_of_array(boxes, frames.shape_yx)
    return segment_single(frames, model, options, corners)


def segment_single(
    frames: AnyFrames, model: Model, options: SegmentOptions, corners: NDArray[Any] | None = None
) -> tuple[NDArray[np.uint32], pd.DataFrame]:
    """Segment a preprocessed movie of one frame, or draw the cells in given boxes.

    Parameters
    ----------
    frames
        Preprocessed frames; there is one.
    model
        Loaded model.
    options
        Options of segmentation.
    corners
        Boxes ``(n, 4)`` x0, y0, x1, y1 in pixels; without them, all cells are searched for.

    Returns
    -------
    labels : ndarray of uint32, (y, x)
        Label image; 0 is background.
    cells : DataFrame
        Cell table.
    """
    if corners is None:
        labels, table = _segment_in_memory(frames, model, options)
        return labels[0], table
    height, width = frames.shape_yx
    cells: list[Instance] = []
    if len(corners):
        whole = read_tile(frames, Tile(0, 0, 0, 0, height, width), stains_of(frames, model.target))
        # Without a diameter, the boxes tell it.
        sides = np.sqrt((corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1]))
        given = options.cell_diameter_px
        diameter_px = float(np.median(sides)) if given == "auto" else float(given)
        found = model.segmenter(options).prompt(whole, diameter_px, corners)
        cells = resolve_overlaps(found, min_area_px=1)
    table = cell_table(0, cells, frames.shape_yx, frames.pixel_size_um)
    return draw_labels(cells, 0, height, width), table


def segment_frames(
    frames: str | Path | OmeZarr | Frames,
    model: Model,
    output: str | Path | None = None,
    options: SegmentOptions = DEFAULTS,
) -> tuple[NDArray[np.uint32] | LabelSource, pd.DataFrame]:
    """Segment preprocessed frames: a movie, or the image of a tissue.

    Parameters
    ----------
    frames
        Frames that :func:`cellsam_core.preprocess` returned, or the path of a ``frames.zarr``.
    model
        Model that :func:`load_model` returned.
    output
        Folder for ``masks.zarr`` and ``cells.parquet``, which is made if need be. A run that was
        killed goes on where it stopped. Without it, the result is held in memory.
    options
        Cell diameter, thresholds, tiles, and cells to drop.

    Returns
    -------
    labels : ndarray of uint32, or LabelSource
        Label images ``(t, y, x)`` of a movie or label image ``(y, x)`` of a tissue; 0 is
        background. With `output`, the opened ``masks.zarr``, which :func:`cellsam_core.track`
        and :func:`cellsam_core.assign` take as well.
    cells : DataFrame
        One row for each cell of each frame: frame, label, centroid, area, bounding box, scores.

    Raises
    ------
    InputError
        ``preprocess`` did not make the frames, or they are damaged.

    Examples
    --------
    >>> import numpy as np
    >>> import cellsam_core as cc
    >>> y, x = np.mgrid[:64, :64]
    >>> disc = [100 + 900 * (np.hypot(y - 32, x - 30 - t) < 12) for t in range(2)]
    >>> frames = cc.preprocess(np.array(disc), channels=["YFP"])
    >>> model = cc.load_model("tiny", device="cpu")
    >>> options = cc.SegmentOptions(cell_diameter_px=24)
    >>> labels, cells = cc.segment_frames(frames, model, options=options)
    >>> labels.shape, cells["frame"].tolist()
    ((2, 64, 64), [0, 1])
    """
    refuse_no_path(output)
    options = options_of(SegmentOptions, options)
    refuse_other_type(model, Model, "model", MODEL_IS_LOADED)
    opened = open_frames(frames)
    if output is None:
        labels, table = _segment_in_memory(opened, model, options)
        return (labels if "t" in opened.axes else labels[0]), table
    folder = Path(output)
    batch = folder / "batches" / "1-of-1.parquet"
    masks, cells = folder / "masks.zarr", folder / "cells.parquet"
    segment_batch(opened, batch, model, options)
    stitch(opened, [batch], masks, cells, options.min_area_px)
    batch.unlink()
    batch.parent.rmdir()
    return open_labels(masks), pd.read_parquet(cells)


def _segment_in_memory(
    frames: AnyFrames, model: Model, options: SegmentOptions
) -> tuple[NDArray[np.uint32], pd.DataFrame]:
    """Segment frames; return the labels ``(t, y, x)`` and the table of all cells."""
    job = prepare(frames, model, options)
    height, width = frames.shape_yx
    labels = np.zeros((frames.n_frames, height, width), np.uint32)
    tables = []
    by_frame = itertools.groupby(job.find(job.tiles), key=lambda found: found[0].frame)
    for frame, tiles in by_frame:
        found = [instance for _, instances in tiles for instance in instances]
        cells = merge_tiles(found, min_area_px=options.min_area_px)
        labels[frame] = draw_labels(cells, 0, height, width)
        tables.append(cell_table(frame, cells, frames.shape_yx, frames.pixel_size_um))
    return labels, pd.concat(tables, ignore_index=True)
