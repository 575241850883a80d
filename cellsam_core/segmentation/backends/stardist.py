"""Models of StarDist (Schmidt, Weigert, Broaddus, Myers, MICCAI 2018).

https://github.com/stardist/stardist; package under BSD-3-Clause.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.errors import InputError
from cellsam_core.segmentation.backends.contract import Drawn, versioned

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellsam_core.segmentation.options import Target

FOLDER_WORDS = "the folder of Keras, ~/.keras/models/StarDist2D or KERAS_HOME"
LICENCE = "BSD-3-Clause, as the package StarDist; its authors name no other for the weights"
REFERENCE_PX = 24.0
"""Median diameter of the nuclei in the training image that StarDist ships."""
CONFIG = "config.json"
WEIGHTS = ("weights_best.h5", "weights_last.h5")


def names() -> list[str]:
    """List the two-dimensional models that StarDist offers."""
    from csbdeep.models.pretrained import get_registered_models

    keys, _ = get_registered_models(_model(), verbose=False)
    return list(keys)


def find(model: str) -> Path | None:
    """Return the file of the weights of a model, given as a name or as a folder."""
    keras = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
    cached = keras / "models" / "StarDist2D" / model
    folders = [path.parent for path in sorted(cached.rglob(CONFIG))] if model in names() else []
    files = [folder / name for folder in [*folders, Path(model)] for name in WEIGHTS]
    return next((p for p in files if p.is_file() and (p.parent / CONFIG).is_file()), None)


def fetch(model: str) -> None:
    """Download a model that has a name."""
    _model().from_pretrained(model)


def licence(model: str) -> str:
    """Return the licence of a model in words."""
    return LICENCE


def load(path: Path, device: str, target: Target) -> StarDistNetwork:
    """Load a model from the file of its weights, on ``cpu`` or ``cuda``."""
    return StarDistNetwork(path, device)


def _model() -> Any:
    from stardist.models import StarDist2D

    return StarDist2D


class StarDistNetwork:
    """A loaded model of StarDist.

    Parameters
    ----------
    path
        File of the weights, beside the configuration.
    device
        ``cpu`` or ``cuda``.
    """

    def __init__(self, path: Path, device: str) -> None:
        import tensorflow as tf

        if device == "cpu":
            tf.config.set_visible_devices([], "GPU")
        elif not tf.config.list_physical_devices("GPU"):
            raise InputError(
                "option `device`",
                found="a GPU that TensorFlow does not see",
                expected="a TensorFlow for GPUs, which StarDist needs",
                remedy="set it to `cpu`, or run `pip install 'tensorflow[and-cuda]'`",
            )
        folder = path.parent.resolve()
        self.network = _model()(None, name=folder.name, basedir=str(folder.parent))
        if self.network.config.n_channel_in != 1:
            raise InputError(
                path.parent,
                found=f"a model of images with {self.network.config.n_channel_in} channels",
                expected="a model of images with one channel, such as 2D_versatile_fluo",
                remedy="name another model",
            )
        self.version = versioned("stardist")

    def draw(self, stains: list[NDArray[np.float32]], diameter_px: float) -> Drawn:
        """Find the cells of a tile in the last stain: the nuclei where there are both."""
        labels, details = self.network.predict_instances(
            stains[-1], axes="YX", scale=REFERENCE_PX / diameter_px, show_tile_progress=False
        )
        return Drawn(np.asarray(labels), np.asarray(details["prob"], np.float64))
