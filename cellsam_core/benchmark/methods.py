"""The methods that are compared: one small adapter each.

Every adapter gives a function of pixels ``(2, y, x)`` float32 in [0, 1] (nuclear, whole cell; an
absent channel is 0) and the typical cell diameter in px (None: the method finds it itself)
that returns labels ``(y, x)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cellsam_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from cellsam_core.segmentation.segmenter import TileSegmenter

    Segment = Callable[[NDArray[np.float32], float | None], NDArray[np.integer]]

CELLSAM = "cellsam"
OWN = (CELLSAM, "otsu_watershed")


class Method(NamedTuple):
    """A loaded method.

    Attributes
    ----------
    segment
        The adapter.
    clahe
        Whether it is shown images after CLAHE, as the published CellSAM was in its training;
        else the stretched plane.
    """

    segment: Segment
    clahe: bool = False


@dataclass(frozen=True)
class Foreign:
    """A method from a package that the user may have installed.

    Attributes
    ----------
    package
        Name that it is imported by.
    install
        What to do to have it.
    load
        Function of the device, ``cpu`` or ``cuda``; the weights are the package's own.
    """

    package: str
    install: str
    load: Callable[[str], Segment]


def cellsam(
    segmenter: TileSegmenter, *, tile_px: int, min_area_px: int, clahe: bool = False
) -> Method:
    """Run this package's pipeline with loaded weights."""
    from cellsam_core.segmentation.image import segment_image
    from cellsam_core.segmentation.instances import draw_labels

    def segment(pixels: NDArray[np.float32], diameter_px: float | None) -> NDArray[np.integer]:
        cells = segment_image(
            segmenter,
            pixels,
            diameter_px=diameter_px,
            tile_px=tile_px,
            min_area_px=min_area_px,
        )
        return draw_labels(cells, 0, *pixels.shape[1:])

    return Method(segment, clahe=clahe)


def cellpose(device: str) -> Segment:
    """Cellpose-SAM (package cellpose, version 4); the diameter is optional there, too."""
    from cellpose.models import CellposeModel

    model = CellposeModel(gpu=device == "cuda")

    def segment(pixels: NDArray[np.float32], diameter_px: float | None) -> NDArray[np.integer]:
        masks, _, _ = model.eval(pixels[::-1].copy(), channel_axis=0, diameter=diameter_px)
        return np.asarray(masks)

    return segment


def stardist(device: str) -> Segment:
    """StarDist's versatile fluorescence model, which takes no diameter.

    Tensorflow chooses the device. The model for H&E would need the colours, which labelled
    images do not keep.
    """
    from csbdeep.utils import normalize
    from stardist.models import StarDist2D

    model = StarDist2D.from_pretrained("2D_versatile_fluo")

    def segment(pixels: NDArray[np.float32], diameter_px: float | None) -> NDArray[np.integer]:
        plane = pixels[1] if pixels[1].any() else pixels[0]
        labels, _ = model.predict_instances(normalize(plane, 1, 99.8), show_tile_progress=False)
        return np.asarray(labels)

    return segment


def official(device: str) -> Segment:
    """CellSAM of its authors (package cellSAM, not for commercial use); takes no diameter."""
    from cellSAM import get_model, segment_cellular_image

    model = get_model()

    def segment(pixels: NDArray[np.float32], diameter_px: float | None) -> NDArray[np.integer]:
        blank = np.zeros_like(pixels[0])
        image = np.stack([blank, *pixels], axis=-1)
        try:
            labels, _, _ = segment_cellular_image(image, model=model, normalize=True, device=device)
        except AttributeError as error:
            # Without any cell it trips over its own None.
            if "NoneType" not in str(error):
                raise
            labels = blank
        return np.asarray(labels).astype(np.int32)

    return segment


FOREIGN = {
    "cellpose": Foreign("cellpose", "pip install 'cellpose>=4'", cellpose),
    "stardist": Foreign("stardist", "pip install stardist tensorflow", stardist),
    "official": Foreign(
        "cellSAM", "install CellSAM from its authors' repository, with their token", official
    ),
}
METHODS = (*OWN, *FOREIGN)


def is_installed(package: str) -> bool:
    """Whether a package can be imported, without doing so."""
    try:
        return find_spec(package) is not None
    except ValueError:  # a module without a spec is loaded already
        return True


def choose_methods(names: Sequence[str]) -> list[str]:
    """Check the names asked for; none gives the own methods and all that are installed.

    Raises
    ------
    InputError
        A name is not known, or its package is not installed.
    """
    if not names:
        return [*OWN, *(n for n, method in FOREIGN.items() if is_installed(method.package))]
    for name in names:
        if name not in METHODS:
            raise InputError(
                "option `methods`",
                found=repr(name),
                expected=f"some of {', '.join(METHODS)}",
                remedy="correct it",
            )
        if name in FOREIGN and not is_installed(FOREIGN[name].package):
            raise InputError(
                f"method `{name}`",
                found=f"no package {FOREIGN[name].package}",
                expected="it to be installed",
                remedy=f"{FOREIGN[name].install}, or leave the method out",
            )
    return list(dict.fromkeys(names))
