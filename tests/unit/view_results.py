"""A folder of results with a movie, a tissue and a sample of a hostile name, for the page."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
from fake_results import write_movie, write_spatial

from cellsam_core.segmentation.instances import Instance, crop
from cellsam_core.segmentation.segmenter import Features
from cellsam_core.viewer.jobs import Jobs
from cellsam_core.viewer.prompts import Prompter
from cellsam_core.viewer.teaching import Teaching
from cellsam_core.viewer.trial import Trial

HOSTILE = "<img src=x onerror=alert(1)>"


def write_results(root: Path) -> Path:
    write_movie(root / "movie")
    write_spatial(root / "tissue")
    (root / HOSTILE).mkdir()
    shutil.copy(root / "movie/0_manifest.json", root / HOSTILE / "0_manifest.json")
    return root


def checksums(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


class Discs:
    """A model that draws the disc in each box, and counts what it was asked."""

    fits_tiles = True

    def __init__(self) -> None:
        self.n_features = 0

    def features(self, pixels, diameter_px):
        self.n_features += 1
        return Features(pixels, pixels.shape[1:], (1.0, 1.0))

    def draw_boxes(self, features, boxes):
        x0, y0, x1, y1 = boxes[0]
        y, x = np.mgrid[: features.shape_yx[0], : features.shape_yx[1]] + 0.5
        side = ((x - (x0 + x1) / 2) / (x1 - x0)) ** 2 + ((y - (y0 + y1) / 2) / (y1 - y0)) ** 2
        return [Instance(*crop(0, 0, side < 0.25), 1.0, 0.9)]


def teaching_of(library, prompter=None, command=None, load=None):
    """Answers of the page about jobs, in the folder above the results."""
    jobs = Jobs(library.root.parent, library.root, None, command=command, steps=5)
    trial = Trial(load or (lambda weights: Discs()))
    return Teaching(library, jobs, prompter or Prompter(is_off=True), trial)
