"""Parts of torchvision and segment-anything, without the import of the whole packages.

``import torchvision`` takes as much time as ``import torch``, since it imports its models and
torch's compiler, and every job of segmentation would wait for it. Needed is one compiled function
of it. ``import segment_anything`` imports torchvision; the layers of the model do not need it.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


def _nms() -> Callable[[Tensor, Tensor, float], Tensor]:
    """Load torchvision's compiled non-maximum suppression."""
    spec = find_spec("torchvision")
    for folder in (spec and spec.submodule_search_locations) or ():
        for library in sorted([*Path(folder).glob("_C*.so"), *Path(folder).glob("_C*.pyd")]):
            torch.ops.load_library(library)  # type: ignore[no-untyped-call]
    if hasattr(torch.ops.torchvision, "nms"):
        return torch.ops.torchvision.nms
    # Another version of torchvision keeps it elsewhere.
    return import_module("torchvision.ops").nms  # type: ignore[no-any-return]


def _segment_anything(name: str) -> Any:
    """Import a module of segment-anything without what the package itself imports."""
    if "segment_anything" in sys.modules:
        return import_module(f"segment_anything.{name}")
    spec = find_spec("segment_anything")
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError("No module named 'segment_anything'", name="segment_anything")
    package = ModuleType("segment_anything")
    package.__path__ = list(spec.submodule_search_locations)
    package.__spec__ = spec
    sys.modules["segment_anything"] = package
    try:
        return import_module(f"segment_anything.{name}")
    finally:
        # A later `import segment_anything` finds the whole package.
        del sys.modules["segment_anything"]


nms = _nms()
"""Non-maximum suppression: boxes ``(n, 4)``, scores ``(n,)``, IoU -> indices that stay."""

_modeling = _segment_anything("modeling")
PromptEncoder, MaskDecoder = _modeling.PromptEncoder, _modeling.MaskDecoder
TwoWayTransformer = _modeling.TwoWayTransformer

_common = _segment_anything("modeling.common")
LayerNorm2d, MLPBlock = _common.LayerNorm2d, _common.MLPBlock
