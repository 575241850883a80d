"""Names and input conventions of the models, which need no model to be loaded."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal, NamedTuple, get_args

from cellsam_core.errors import InputError

Preset = Literal["official", "paper", "fast"]
"""Preset of the published CellSAM; :mod:`.segmentation.vit_b.predict` explains them."""

PRESET_NAMES: tuple[Preset, ...] = get_args(Preset)
SHIPPED = ("tiny", "tiny_f92dcf9d")
"""Weights inside the package: today's, and those of the release before, by their checksum."""

PUBLISHED_CLAHE_CLIP_LIMIT = 0.01
"""Clip limit of the adaptive histogram equalisation for the published CellSAM."""


BACKENDS = {"cellpose": "Cellpose", "instanseg": "InstanSeg", "stardist": "StarDist"}
"""Packages of others whose models can segment: name for import, which is the extra, and title."""


class Backend(NamedTuple):
    """Weights of a model that another package runs, such as ``cellpose:cyto3``.

    Attributes
    ----------
    package
        One of :data:`BACKENDS`.
    model
        Name of the model in that package, or path of a file or folder.
    """

    package: str
    model: str


def backend_of(weights: str) -> Backend | None:
    """Split weights such as ``cellpose:cyto3``; None for weights that this package runs itself."""
    package, colon, model = weights.partition(":")
    return Backend(package, model) if colon and package in BACKENDS else None


def refuse_absent_backend(weights: str) -> None:
    """Refuse weights of another package that is not installed, without importing it.

    Raises
    ------
    InputError
        The package is not installed, or no model of it is named.
    """
    backend = backend_of(weights)
    if backend is None:
        return
    if not backend.model:
        raise InputError(
            "option `weights`",
            found=repr(weights),
            expected=f"{backend.package}:MODEL, the name of a model or the path of a file",
            remedy="name the model, see docs/backends.md",
        )
    if find_spec(backend.package) is None:
        raise InputError(
            f"weights {weights!r}",
            found=f"no package {backend.package} in this environment",
            expected=f"the optional package {BACKENDS[backend.package]}",
            remedy=f"run `pip install 'cellsam-core[{backend.package}]'`, or Snakemake with its"
            " conda environments",
        )


def is_published(weights: str) -> bool:
    """Test whether weights are those of the published CellSAM, a torch file, or of tiny."""
    return weights == "vit_b" or (weights.endswith((".pt", ".pth")) and backend_of(weights) is None)


Kind = Literal["published", "tiny", "backend"]
"""Kind of a model: the published CellSAM, this package's own, or that of another package."""

FITS_TILES: dict[Kind, bool] = {"published": False, "tiny": True, "backend": True}
"""True if tiles may have any size; the scale of the published CellSAM depends on their size."""


def kind_of(weights: str) -> Kind:
    """Tell of what kind a model is, from the name or the path of its weights."""
    if backend_of(weights):
        return "backend"
    return "published" if is_published(weights) else "tiny"


def clahe_clip_limit_of(weights: str, preset: str) -> float:
    """Return the clip limit of the adaptive histogram equalisation (CLAHE) that suits a model.

    The published CellSAM needs equalisation, except in the preset ``paper``, whose evaluation had
    none. The tiny model finds more cells without it.

    Parameters
    ----------
    weights
        Name or path of the weights.
    preset
        Preset of the published CellSAM.

    Returns
    -------
    float
        Clip limit; 0 for no equalisation.
    """
    return PUBLISHED_CLAHE_CLIP_LIMIT if is_published(weights) and preset != "paper" else 0.0


def refuse_untrainable(weights: str) -> None:
    """Refuse to train the published CellSAM, and models of others, which are only used here.

    Raises
    ------
    InputError
        The weights are those of the published CellSAM or of another package.
    """
    if is_published(weights) or backend_of(weights):
        raise InputError(
            "option `weights`",
            found=weights,
            expected="weights of the tiny model: tiny, or a .safetensors file",
            remedy="set `weights` to tiny, or to a .safetensors file of your own",
        )
