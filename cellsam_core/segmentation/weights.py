"""Weights of the models: files, checksums and licences; loading and saving."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load
from safetensors.torch import save as serialize

from cellsam_core.errors import InputError, first_line
from cellsam_core.files.atomic import atomic_path
from cellsam_core.models import BACKENDS, SHIPPED, backend_of, is_published
from cellsam_core.segmentation.tiny.model import CellSAM, fold_batch_norm

if TYPE_CHECKING:
    from torch import Tensor

FOLDER = Path(__file__).parent / "weights"
"""Folder of the weights that travel inside the package."""

VIT_B = Path.home() / ".deepcell" / "models" / "cellsam_v1.2" / "cellsam_general.pt"
"""File in which the authors' own package keeps the weights of the published CellSAM."""

LICENCES = {
    "tiny": "BSD-3-Clause (trained by this project on CC0, MIT, BSD, zlib and CC-BY data)",
    "tiny_f92dcf9d": "BSD-3-Clause (trained by this project on CC0, MIT and BSD data)",
    "vit_b": "CellSAM's own, non-commercial academic use only; from the authors, not included",
}

METADATA_KEY = "cellsam_core"
DIGEST_KEY = "tensors_sha256"


@dataclass(frozen=True)
class WeightsInfo:
    """Identity of a weights file, as provenance records it.

    Attributes
    ----------
    name, path, sha256, licence
        Name without the ending, path, checksum and licence of the file.
    metadata
        Facts that the command ``finetune`` wrote into the file; empty for ``train``.
    """

    name: str
    path: str
    sha256: str
    licence: str
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def diameter_limits_px(self) -> tuple[float, float]:
        """Half and double the cell diameter that ``finetune`` saw; no limits for other weights."""
        if "cell_diameter_px" not in self.metadata:
            return 0.0, float("inf")
        diameter: float = self.metadata["cell_diameter_px"]
        return diameter / 2, diameter * 2

    @property
    def given(self) -> str:
        """Value of the option `weights` that names these weights."""
        return self.path if backend_of(self.name) is None else self.name


def resolve(name: str) -> Path:
    """Return the file of a shipped model's name, or of a path.

    Raises
    ------
    InputError
        Neither a shipped name nor a file.
    """
    shipped = {name: FOLDER / f"{name}.safetensors" for name in SHIPPED}
    shipped["vit_b"] = VIT_B
    path = shipped.get(name, Path(name))
    if not path.is_file():
        raise InputError(
            f"weights {name!r}",
            found=f"no file {path}" if name == "vit_b" else "no such file",
            expected=f"{', '.join(LICENCES)}, the path of a .safetensors or .pt file, or"
            f" {' or '.join(f'{name}:MODEL' for name in BACKENDS)}",
            remedy="run `cellsam-core weights fetch`, or give the path of cellsam_general.pt"
            if name == "vit_b"
            else "correct the option `weights`",
        )
    return path


def info(name: str) -> WeightsInfo:
    """Identify weights by name or path."""
    if backend_of(name):
        from cellsam_core.segmentation.backends.models import identify

        return WeightsInfo(name, *identify(name))
    path = resolve(name)
    with path.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    if is_published(path.name):
        return WeightsInfo(path.stem, str(path), digest, LICENCES["vit_b"])
    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(json.loads((file.metadata() or {}).get(METADATA_KEY, "{}")))
    except (SafetensorError, ValueError, TypeError) as error:
        raise _unfit(path, error) from error
    licence = LICENCES.get(name, "unknown (user's file)")
    return WeightsInfo(path.stem, str(path), digest, licence, metadata)


def load_network(name: str, device: str) -> CellSAM:
    """Build the tiny model, fill it with weights and set it to inference.

    Parameters
    ----------
    name
        Name of shipped weights, or path of a safetensors file written by :func:`save`.
    device
        ``cpu`` or ``cuda``.

    Raises
    ------
    InputError
        The file is damaged or belongs to another model.
    """
    model = load_trainable(name)
    fold_batch_norm(model)
    return model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def load_trainable(name: str) -> CellSAM:
    """Build the model on the CPU and fill it, without folding batch norm; see `load_network`."""
    path = resolve(name)
    model = CellSAM().eval()
    expected = info(name).metadata.get(DIGEST_KEY)
    try:
        tensors = load(path.read_bytes())
        if expected not in (None, digest_of(tensors)):
            raise SafetensorError("weights that have changed since they were written")
        model.load_state_dict({k: v.float() for k, v in tensors.items()})
    except (SafetensorError, RuntimeError, LookupError, ValueError) as error:
        raise _unfit(path, error) from error
    return model


def digest_of(tensors: dict[str, Tensor]) -> str:
    """Return the checksum of names, types, shapes and values: safetensors has none."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _unfit(path: Path, error: Exception) -> InputError:
    return InputError(
        path,
        found=first_line(error),
        expected="weights of the tiny model, written by `cellsam-core train` or `finetune`",
        remedy="choose another file or train again",
    )


def save(state: dict[str, Tensor], path: Path, metadata: dict[str, Any] | None = None) -> None:
    """Write weights as half precision.

    Parameters
    ----------
    state
        Tensors of the model before batch norm is folded; integer counters are kept as they are.
    path
        File to write.
    metadata
        Facts for :func:`info`, of types that JSON knows; ``cell_diameter_px`` limits the search
        for the cell scale. A checksum of the tensors is added.
    """
    half = {
        k: (v.half() if v.is_floating_point() else v).contiguous().cpu() for k, v in state.items()
    }
    # One entry: safetensors writes several in an order that changes from run to run.
    said = (metadata or {}) | {DIGEST_KEY: digest_of(half)}
    content = serialize(half, {METADATA_KEY: json.dumps(said)})
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def choose_device(name: str) -> str:
    """Turn ``auto``, ``cpu`` or ``cuda`` into a device.

    Raises
    ------
    InputError
        The name is ``cuda`` and there is no GPU.
    """
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
