"""Models of InstanSeg (Goldsborough et al., bioRxiv 2024.09.04.611150).

https://github.com/instanseg/instanseg; package and models under Apache-2.0.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from pkgutil import get_data
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.segmentation.backends.contract import Drawn, no_scores, versioned

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellsam_core.segmentation.options import Target

VARIABLE = "INSTANSEG_BIOIMAGEIO_PATH"
FOLDER_WORDS = f"the folder of InstanSeg's models; the environment variable {VARIABLE} names it"
FILE = "instanseg.pt"
CELL_UM = 10.0
"""Cell diameter for which InstanSeg sees the image at its own size of a pixel."""


def names() -> list[str]:
    """List the models that InstanSeg offers."""
    return [item["name"] for item in _index()]


def find(model: str) -> Path | None:
    """Return the file of a model, given as a name, a file or a folder."""
    import instanseg

    own = Path(instanseg.__file__).parent / "bioimageio_models"
    root = Path(os.environ.get(VARIABLE) or own)
    # InstanSeg takes the newest of its list.
    versions = [root / model / item["version"] for item in _index() if item["name"] == model]
    paths = [*(folder / FILE for folder in versions), root / model / FILE, Path(model) / FILE]
    return next((path for path in [*paths, Path(model)] if path.is_file()), None)


def fetch(model: str) -> None:
    """Download a model that has a name."""
    from instanseg.utils.utils import download_model

    download_model(model, verbose=False)


def licence(model: str) -> str:
    """Return the licence of a model in words."""
    return next(str(item["license"]) for item in _index() if item["name"] == model)


def load(path: Path, device: str, target: Target) -> InstanSegNetwork:
    """Load a model from its file, on ``cpu`` or ``cuda``."""
    return InstanSegNetwork(path, device, target)


def _index() -> list[dict[str, Any]]:
    content = get_data("instanseg", "bioimageio_models/model-index.json")
    return list(json.loads(content or b"[]"))


class InstanSegNetwork:
    """A loaded model of InstanSeg.

    Parameters
    ----------
    path
        File of the model, in TorchScript.
    device
        ``cpu`` or ``cuda``.
    target
        Objects to take from a model that finds both.
    """

    def __init__(self, path: Path, device: str, target: Target) -> None:
        import torch
        from instanseg import InstanSeg

        network = torch.jit.load(str(path), map_location=device).eval()  # type: ignore[no-untyped-call]
        # The memory format changes the last digits, and so the cells.
        self.model = InstanSeg(network, device=device, verbosity=0, channels_last=False)
        both = "cells" if target == "cell" else "nuclei"
        self.target = both if network.cells_and_nuclei else "all_outputs"
        self.version = versioned("instanseg-torch")

    def draw(self, stains: list[NDArray[np.float32]], diameter_px: float) -> Drawn:
        """Find the cells of a tile; see :class:`.contract.Network`."""
        import torch

        with torch.inference_mode():
            found = self.model.eval_small_image(
                torch.from_numpy(np.stack(stains)),
                pixel_size=CELL_UM / diameter_px,
                normalise=False,
                return_image_tensor=False,
                target=self.target,
            )
        labels = found[0, -1].cpu().numpy().astype(np.int32)
        return Drawn(labels, no_scores(labels))
