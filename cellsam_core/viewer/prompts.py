"""Cells that the model draws in boxes, from features that are kept."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.corrections.result import project_folder
from cellsam_core.corrections.table import checksum_of
from cellsam_core.errors import InputError
from cellsam_core.files import omezarr
from cellsam_core.models import backend_of
from cellsam_core.segmentation.tiles import REFERENCE_PX, Tile

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from cellsam_core.segmentation.instances import Instance
    from cellsam_core.segmentation.segmenter import Features, TileSegmenter
    from cellsam_core.viewer.samples import Sample

    Load = Callable[[str], TileSegmenter]

WINDOW_PX = 256
"""Side of a window in pixels of the model."""
KEPT_WINDOWS = 32
FINETUNED = "finetuned"
"""Folder, beside the results, of weights that were tuned from the page."""
TYPICAL_DIAMETER_PX = 30.0


def load_segmenter(weights: str) -> TileSegmenter:
    """Load weights with the thresholds that are the default.

    Raises
    ------
    InputError
        The model is of another package, which draws no cell in a box.
    """
    from cellsam_core.segmentation.options import SegmentOptions
    from cellsam_core.segmentation.stage import load_model

    if backend_of(weights):
        raise InputError(
            f"weights {weights!r}",
            found="a model of another package, which can't draw the cell in a given box",
            expected="weights of CellSAM",
            remedy="start the page with `--weights tiny`, or draw the outline by hand",
        )
    return load_model(weights).segmenter(SegmentOptions())


class Prompter:
    """A model that draws cells in boxes; it is loaded in the background at the first use.

    Parameters
    ----------
    load
        Function of the name of weights that loads them.
    weights
        Weights to use; empty takes those that made the masks of a sample.
    is_off
        True loads no model at all.
    """

    def __init__(
        self, load: Load = load_segmenter, weights: str = "", *, is_off: bool = False
    ) -> None:
        self._load = load
        self._weights = weights
        self._is_off = is_off
        self._lock = threading.Lock()
        self._segmenter: TileSegmenter | None = None
        self._loaded = ""
        self._reason = "The page was started with --no-model." if is_off else ""
        self._began = 0.0
        self._kept: OrderedDict[tuple[Any, ...], Features] = OrderedDict()

    def state(self) -> dict[str, Any]:
        """Describe the model: off, idle, loading (with seconds), ready or failed."""
        if self._is_off:
            return {"model": "off", "reason": self._reason}
        if self._reason:
            return {"model": "failed", "reason": self._reason}
        if self._segmenter is not None:
            return {"model": "ready", "weights": self._loaded}
        if self._began:
            return {"model": "loading", "seconds": round(time.monotonic() - self._began)}
        return {"model": "idle"}

    def start(self, sample: Sample) -> dict[str, Any]:
        """Begin to load the model, if that was not done yet."""
        weights = self.weights_of(sample)
        with self._lock:
            is_new = not self._began or (self._segmenter is not None and weights != self._loaded)
            if not self._is_off and is_new:
                self._segmenter, self._reason, self._began = None, "", time.monotonic()
                threading.Thread(target=self._load_now, args=(weights,), daemon=True).start()
        return self.state()

    def weights_of(self, sample: Sample) -> str:
        """Return the name of the weights that draw: the given ones, or those of the masks."""
        if self._weights:
            return self._weights
        name = str(sample.segmentation.get("weights", "tiny"))
        tuned = project_folder(sample.folder) / FINETUNED / f"{name}.safetensors"
        return str(tuned) if tuned.is_file() else name

    def checksum(self, sample: Sample) -> str:
        """Return the checksum of the weights that draw cells of a sample."""
        from cellsam_core.segmentation.weights import resolve

        weights = self.weights_of(sample)
        recorded = sample.segmentation
        if weights == recorded.get("weights"):
            return str(recorded.get("sha256", ""))
        return checksum_of(resolve(weights))

    def _load_now(self, weights: str) -> None:
        try:
            segmenter = self._load(weights)
        except (InputError, ImportError, MemoryError, RuntimeError) as error:
            self._reason = str(error) or type(error).__name__
            return
        self._kept.clear()
        self._loaded = weights
        self._segmenter = segmenter

    def draw(self, sample: Sample, frame: int, box: tuple[float, ...]) -> Instance | None:
        """Draw the cell in a box.

        Parameters
        ----------
        sample, frame
            Image; its preprocessed pixels are given to the model, as in the workflow.
        box
            Corners x0, y0, x1, y1 in pixels; the centre of the first pixel is (0, 0).

        Returns
        -------
        Instance or None
            Mask in pixels of the image; None if there is no cell.

        Raises
        ------
        InputError
            The model is not ready.
        """
        segmenter = self._segmenter
        if segmenter is None:
            said = self.state()
            raise InputError(
                "the model",
                found=str(said.get("reason") or said["model"]),
                expected="a loaded model",
                remedy="wait until it is loaded, or draw the outline by hand",
            )
        with self._lock:
            return self._drawn(segmenter, sample, frame, np.asarray(box, np.float32) + 0.5)

    def _drawn(
        self, segmenter: TileSegmenter, sample: Sample, frame: int, edges: NDArray[np.float32]
    ) -> Instance | None:
        from dataclasses import replace

        tile, diameter_px = self._window(sample, frame, edges)
        key = (sample.name, sample.version, *tile)
        features = self._kept.pop(key, None)
        if features is None:
            features = segmenter.features(_pixels(sample, tile), diameter_px)
        self._kept[key] = features
        while len(self._kept) > KEPT_WINDOWS:
            self._kept.popitem(last=False)
        corner = np.array([tile.x0, tile.y0] * 2, np.float32)
        found = segmenter.draw_boxes(features, (edges - corner)[None])
        if not found:
            return None
        return replace(found[0], y0=found[0].y0 + tile.y0, x0=found[0].x0 + tile.x0)

    def _window(self, sample: Sample, frame: int, edges: NDArray[np.float32]) -> tuple[Tile, float]:
        """Choose the window of a box on a grid of half windows, so that neighbours share it."""
        recorded = sample.segmentation.get("cell_diameter_px")
        diameter_px = float(recorded or TYPICAL_DIAMETER_PX)
        longest = float(max(edges[2] - edges[0], edges[3] - edges[1]))
        side = max(round(WINDOW_PX / REFERENCE_PX * diameter_px), round(2 * longest))
        starts, sizes = [], sample.manifest.shape_yx
        for low, high, size in zip(edges[[1, 0]], edges[[3, 2]], sizes, strict=True):
            step = max(1, side // 2)
            start = round(((low + high) / 2 - side / 2) / step) * step
            starts.append(int(min(max(0, start), max(0, size - side))))
        height, width = sample.manifest.shape_yx
        y0, x0 = starts
        return Tile(frame, 0, y0, x0, min(height, y0 + side), min(width, x0 + side)), diameter_px


def _pixels(sample: Sample, tile: Tile) -> NDArray[np.float32]:
    from cellsam_core.segmentation.image import read_tile

    frames = omezarr.open_(sample.folder / "1_preprocessed/frames.zarr")
    return read_tile(frames, tile)
