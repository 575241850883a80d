"""Results of a sample that a verdict is based on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from cellsam_core.files.omezarr import OmeZarr
    from cellsam_core.samples.manifest import Manifest


class Evidence(Protocol):
    """Results of a sample; :class:`cellsam_core.Results` has them."""

    folder: Path

    @property
    def manifest(self) -> Manifest:
        """Manifest of the sample."""

    @property
    def masks_folder(self) -> str:
        """Folder of the masks below that of the sample."""

    def image(self) -> OmeZarr | None:
        """Open the preprocessed frames; None where they are not there."""

    def masks(self) -> OmeZarr | None:
        """Open the label images; None where they are not there."""

    def segmentation_parameters(self) -> dict[str, Any]:
        """Return what the masks record of their making."""

    def table(self, name: str, columns: list[str] | None = None) -> pd.DataFrame | None:
        """Read a table below the folder; None where it is not there."""
