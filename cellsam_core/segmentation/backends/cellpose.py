"""Models of Cellpose 3 and 4 (Stringer, Wang, Michaelos, Pachitariu, Nature Methods 2021).

https://github.com/MouseLand/cellpose; package under BSD-3-Clause.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from scipy.special import expit

from cellsam_core.segmentation.backends.contract import Drawn, versioned

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellsam_core.segmentation.options import Target

FOLDER_WORDS = "the folder of Cellpose's models, ~/.cellpose/models or CELLPOSE_LOCAL_MODELS_PATH"
LICENCE = (
    "of the authors of Cellpose (package and Cellpose-SAM: BSD-3-Clause; a part of the training"
    " data is for non-commercial use)"
)


def names() -> list[str]:
    """List the models that Cellpose offers, and those that the user added to it."""
    models = _models()
    return [*dict.fromkeys([*models.MODEL_NAMES, *models.get_user_models()])]


def find(model: str) -> Path | None:
    """Return the file of a model, given as a name or path; None if it is not there."""
    folder = Path(_models().MODEL_DIR)
    # Older models have a longer name as a file.
    named = [folder / model, folder / f"{model}torch_0"] if model in names() else []
    return next((path for path in [*named, Path(model)] if path.is_file()), None)


def fetch(model: str) -> None:
    """Download a model that has a name."""
    models = _models()
    # Cellpose 3 has other names for files.
    download = models.model_path if hasattr(models, "model_path") else models.cache_model_path
    download(model)


def licence(model: str) -> str:
    """Return the licence of a model in words."""
    dino = "; the licence of DINOv3 holds as well" if "dino" in model else ""
    return LICENCE + dino


def load(path: Path, device: str, target: Target) -> CellposeNetwork:
    """Load a model from its file, on ``cpu`` or ``cuda``."""
    return CellposeNetwork(path, device)


def _models() -> Any:
    from cellpose import models

    return models


class CellposeNetwork:
    """A loaded model of Cellpose.

    Parameters
    ----------
    path
        File of the model.
    device
        ``cpu`` or ``cuda``.
    """

    def __init__(self, path: Path, device: str) -> None:
        make = _models().CellposeModel
        known = inspect.signature(make).parameters
        # Half precision is slow on a CPU, and its rounding differs from one to another.
        extra = {"use_bfloat16": device == "cuda"} if "use_bfloat16" in known else {}
        self.network = make(gpu=device == "cuda", pretrained_model=str(path), **extra)
        self.version = versioned("cellpose")
        self.is_fourth = bool(extra)

    def draw(self, stains: list[NDArray[np.float32]], diameter_px: float) -> Drawn:
        """Find the cells of a tile; see :class:`.contract.Network`."""
        # Cellpose 3 has two channels, of which the second may be black; Cellpose 4 has three.
        n_planes = 3 if self.is_fourth else 2
        image = np.zeros((*stains[0].shape, n_planes), np.float32)
        image[..., : len(stains)] = np.stack(stains, axis=-1)
        channels = {} if self.is_fourth else {"channels": [1, 2 if len(stains) > 1 else 0]}
        # min_size -1 keeps small cells: `min_area_px` decides, after the tiles are merged.
        masks, flows, *_ = self.network.eval(
            image,
            channel_axis=-1,
            diameter=diameter_px,
            normalize=False,
            min_size=-1,
            **channels,
        )
        labels = np.asarray(masks, np.int32).reshape(stains[0].shape)
        numbers = np.arange(1, int(labels.max(initial=0)) + 1)
        logits = np.asarray(flows[2], np.float64).reshape(stains[0].shape)
        means = ndimage.mean(logits, labels, numbers) if len(numbers) else np.empty(0)
        return Drawn(labels, expit(np.asarray(means, np.float64)))
