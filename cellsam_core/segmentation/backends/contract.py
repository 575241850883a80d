"""The interface between the tiles of this package and a model that another package runs."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from cellsam_core.segmentation.options import Target


class Drawn(NamedTuple):
    """Cells that a model found in a tile.

    Attributes
    ----------
    labels
        Label image ``(y, x)``, any integer type; 0 is background.
    scores
        Probability that the object is a cell, 0 to 1, for the labels 1 to n; NaN for a model
        that gives none.
    """

    labels: NDArray[np.integer]
    scores: NDArray[np.float64]


class Network(Protocol):
    """A loaded model of another package.

    Attributes
    ----------
    version
        Package and version, for provenance.
    """

    version: str

    def draw(self, stains: list[NDArray[np.float32]], diameter_px: float) -> Drawn:
        """Find the cells of a tile.

        Parameters
        ----------
        stains
            One or two images ``(y, x)`` in [0, 1]: whole cell and nucleus if there are both.
            The contrast is that of the whole sample, so that it must not be changed here:
            neighbouring tiles would differ.
        diameter_px
            Typical cell diameter in these pixels.
        """


class Adapter(Protocol):
    """A module that knows one package.

    Attributes
    ----------
    FOLDER_WORDS
        Words for the place where the package keeps its models, for messages.
    """

    FOLDER_WORDS: str

    def names(self) -> list[str]:
        """List the models that the package offers by name."""

    def find(self, model: str) -> Path | None:
        """Return the file of a model, given as a name or path; None if it is not there."""

    def fetch(self, model: str) -> None:
        """Download a model that has a name, as the package does it."""

    def licence(self, model: str) -> str:
        """Return the licence of a model in words."""

    def load(self, path: Path, device: str, target: Target) -> Network:
        """Load a model from its file, on ``cpu`` or ``cuda``.

        The target counts for a model that finds both cells and nuclei.
        """


def versioned(package: str) -> str:
    """Return a package's name with the version that is installed."""
    return f"{package} {version(package)}"


def no_scores(labels: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return NaN for each label from 1 to the largest one."""
    return np.full(int(labels.max(initial=0)), np.nan)
