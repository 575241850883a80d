"""Cell diameter of an image, told by a network in one pass.

The network (:mod:`.tiny.diameter`) was trained on images of all kinds of cells at random
magnifications (:mod:`cellsam_core.training.diameter`). It measures for all weights.
"""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.torch import load_file
from scipy import ndimage
from torch.nn import functional as F

from cellsam_core.segmentation.tiles import REFERENCE_PX
from cellsam_core.segmentation.tiny.diameter import REDUCTIONS, VIEW_PX, Ruler, grid
from cellsam_core.segmentation.tiny.model import fold_batch_norm
from cellsam_core.segmentation.weights import FOLDER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

log = logging.getLogger(__name__)

WEIGHTS = FOLDER / "diameter.safetensors"

STEPS_PER_OCTAVE = 8
PEAK_STEPS = 2
"""Steps of the grid on either side of the likeliest diameter that are averaged."""

NO_LIMITS_PX = (0.0, float("inf"))


def measure_diameter_px(
    samples: Sequence[NDArray[np.float32]], limits_px: tuple[float, float] = NO_LIMITS_PX
) -> float:
    """Measure the typical cell diameter of images that show the same kind of cells.

    Parameters
    ----------
    samples
        Images ``(2, y, x)`` in [0, 1], nuclear and whole-cell channel; the busiest region of each
        is looked at.
    limits_px
        Smallest and largest possible diameter.

    Returns
    -------
    float
        Diameter in pixels of the disc with a cell's area, on a grid of 8 steps an octave so that
        it does not depend on rounding. The model's own scale (30 px) if all images are blank.

    Examples
    --------
    >>> import numpy as np
    >>> measure_diameter_px([np.zeros((2, 64, 64), np.float32)])
    30.0
    """
    shown = [sample for sample in samples if np.ptp(sample.reshape(len(sample), -1), axis=1).any()]
    low, high = limits_px
    if not shown:
        return float(np.clip(REFERENCE_PX, low, high))
    ruler = _ruler()
    with torch.inference_mode():
        features = torch.stack([ruler.features(views(sample)) for sample in shown])
        evidence = ruler.head(features).sum(0).double().numpy()
    diameters = grid().double().numpy()
    step = round(_peak(diameters, evidence, low, high) * STEPS_PER_OCTAVE)
    measured = float(2 ** (step / STEPS_PER_OCTAVE))
    log.info("cells of about %.3g px", measured)
    return measured


def _peak(
    diameters: NDArray[np.float64], evidence: NDArray[np.float64], low: float, high: float
) -> float:
    """Return the mean about the likeliest diameter inside the limits, all in octaves."""
    lowest, highest = np.log2(np.maximum((low, high), 2.0 ** diameters[0]))
    inside = (diameters >= lowest) & (diameters <= highest)
    if not inside.any():  # the middle of the limits, or the only one
        return float(lowest if np.isinf(highest) else (lowest + highest) / 2)
    best = int(np.argmax(np.where(inside, evidence, -np.inf)))
    near = slice(max(0, best - PEAK_STEPS), best + PEAK_STEPS + 1)
    weights = np.exp(evidence[near] - evidence[best])
    return float(np.clip((weights * diameters[near]).sum() / weights.sum(), lowest, highest))


def views(sample: NDArray[np.float32]) -> Tensor:
    """Show the busiest region of an image, and the busiest parts of it, in views of one size.

    Parameters
    ----------
    sample
        Image ``(2, y, x)`` in [0, 1].

    Returns
    -------
    Tensor
        Views ``(3, 3, 128, 128)`` in the order of the model's channels (blank, nuclear, whole
        cell), each smaller than the one before by two; what a view does not fill is 0.
    """
    region, shown = sample, []
    for reduction in reversed(REDUCTIONS):
        region = busiest_region(region, VIEW_PX * reduction)
        height, width = (max(1, round(n / reduction)) for n in region.shape[1:])
        view = torch.zeros((1, 3, *region.shape[1:]))
        view[0, 1:] = torch.from_numpy(np.ascontiguousarray(region))
        if reduction > 1:
            view = F.interpolate(view, (height, width), mode="bilinear", antialias=True)
        shown.append(F.pad(view, (0, VIEW_PX - width, 0, VIEW_PX - height)))
    return torch.cat(shown[::-1])


def busiest_region(sample: NDArray[np.float32], side_px: int) -> NDArray[np.float32]:
    """Cut the window, at most `side_px` square, whose pixels differ most from the background.

    Parameters
    ----------
    sample
        Image ``(c, y, x)``; the background of a channel is its median.
    side_px
        Largest side of the window in pixels.
    """
    _, height, width = sample.shape
    h, w = min(side_px, height), min(side_px, width)
    if (h, w) == (height, width):
        return sample
    contrast = (sample - np.median(sample, axis=(1, 2), keepdims=True)) ** 2
    activity = ndimage.uniform_filter(contrast.sum(0), (h, w), mode="constant")
    # Only those windows of the filter that lie inside the image.
    inside = activity[h // 2 : h // 2 + height - h + 1, w // 2 : w // 2 + width - w + 1]
    y, x = np.unravel_index(np.argmax(inside), inside.shape)
    return sample[:, y : y + h, x : x + w]


@functools.cache
def _ruler() -> Ruler:
    """Load the network once in a process."""
    ruler = Ruler()
    ruler.load_state_dict({name: value.float() for name, value in load_file(WEIGHTS).items()})
    fold_batch_norm(ruler.eval())
    return ruler
