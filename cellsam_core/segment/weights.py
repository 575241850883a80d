"""Weights: what is available, where from, under which licence; loading and saving."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file

from cellsam_core.errors import InputError
from cellsam_core.io.atomic import atomic_path
from cellsam_core.segment.model import CellSAM, fold_batch_norm

if TYPE_CHECKING:
    from torch import Tensor

FOLDER = Path(__file__).parent / "weights"
"""Of the weights that travel inside the package."""

LICENCES = {"tiny": "BSD-3-Clause (trained by this project on CC0, MIT and BSD data)"}


@dataclass(frozen=True)
class WeightsInfo:
    """Identity of a weights file, as provenance records it."""

    name: str
    path: str
    sha256: str
    licence: str


def resolve(name: str) -> Path:
    """Return the file of a shipped model's name, or of a path.

    Raises
    ------
    InputError
        Neither a shipped name nor a file.
    """
    path = FOLDER / f"{name}.safetensors" if name in LICENCES else Path(name)
    if not path.is_file():
        raise InputError(
            f"weights {name!r}",
            found="no such file",
            expected=f"{' or '.join(LICENCES)}, or the path of a .safetensors file",
            remedy="correct the option `weights`",
        )
    return path


def info(name: str) -> WeightsInfo:
    """Identify weights by name or path."""
    path = resolve(name)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return WeightsInfo(path.stem, str(path), digest, LICENCES.get(name, "unknown (user's file)"))


def load_model(name: str, device: str) -> CellSAM:
    """Build the model, fill it and set it to inference.

    Parameters
    ----------
    name
        Shipped name or path of a safetensors file written by :func:`save`.
    device
        ``cpu`` or ``cuda``.

    Raises
    ------
    InputError
        The file is damaged or belongs to another model.
    """
    path = resolve(name)
    try:
        state = load(path.read_bytes())
        model = CellSAM()
        model.load_state_dict({k: v.float() for k, v in state.items()})
    except (SafetensorError, RuntimeError) as error:
        raise InputError(
            path,
            found=str(error).splitlines()[0],
            expected="weights of the tiny model, written by `cellsam-core train`",
            remedy="choose another file or train again",
        ) from error
    model.eval()
    fold_batch_norm(model)
    return model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def save(state: dict[str, Tensor], path: Path) -> None:
    """Write weights as half precision; counters of the training are left out of the numbers."""
    half = {
        k: (v.half() if v.is_floating_point() else v).contiguous().cpu() for k, v in state.items()
    }
    with atomic_path(path) as temporary:
        save_file(half, temporary)


def choose_device(name: str) -> str:
    """Turn ``auto``, ``cpu`` or ``cuda`` into a device; asking for an absent GPU is an error."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "option `device`",
            found="cuda, but torch sees no GPU",
            expected="a CUDA device",
            remedy="set it to `auto` or `cpu`, or check the driver with nvidia-smi",
        )
    return name
