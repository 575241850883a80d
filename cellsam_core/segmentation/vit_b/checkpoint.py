"""Strict loading of the published CellSAM weights.

A checkpoint holds three networks: ``cellfinder`` (Anchor DETR on its own ViT-B), ``model_cp``
(SAM ViT-B with a trained neck) and ``model``, the original SAM, which is not used if there is
``model_cp``. Weights of version 1.0 lack ``model_cp``; then ``model`` is used.
"""

from __future__ import annotations

import pickle
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from cellsam_core.errors import InputError, first_line
from cellsam_core.segmentation.vit_b.anchor_detr import (
    N_LAYERS,
    RCDA,
    AnchorDETR,
    FeedForward,
    SelfAttention,
)
from cellsam_core.segmentation.vit_b.encoder import Attention, Block, ImageEncoder, PatchEmbed
from cellsam_core.segmentation.vit_b.mask_decoder import BoxDecoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DETECTOR = "cellfinder.decode_head."
TUNED, ORIGINAL = "model_cp.", "model."
HEADS = ("class_embed", "bbox_embed")
EXPECTED = "the CellSAM weights of the authors (`cellsam_general.pt`, versions 1.0 to 1.2)"


@dataclass
class VitB:
    """The networks of the published CellSAM.

    Attributes
    ----------
    detector, encoder, decoder
        CellFinder, and SAM's two parts for masks.
    stretched
        True if the weights expect every channel stretched to 0-1, see :mod:`inputs`.
    refills
        Functions that read the weights of an image encoder again, where they need not stay in
        memory.
    """

    detector: AnchorDETR
    encoder: ImageEncoder
    decoder: BoxDecoder
    stretched: bool
    refills: dict[ImageEncoder, Callable[[], None]] = field(default_factory=dict)

    @property
    def parts(self) -> tuple[nn.Module, nn.Module, nn.Module]:
        """The three networks."""
        return self.detector, self.encoder, self.decoder

    @contextmanager
    def in_memory(self, encoder: ImageEncoder) -> Iterator[ImageEncoder]:
        """Lend one of the two image encoders, so that mapped weights leave memory after use.

        A pass through one takes seconds, and reading its weights again a tenth.
        """
        refill = self.refills.get(encoder)
        if refill:
            refill()
        try:
            yield encoder
        finally:
            if refill:
                encoder.to("meta")


def build() -> VitB:
    """Return the networks without storage; see :func:`load`."""
    with torch.device("meta"):
        detector, encoder, decoder = AnchorDETR(), ImageEncoder(neck=True), BoxDecoder()
    return VitB(detector.eval(), encoder.eval(), decoder.eval(), stretched=True)


def expected_shapes() -> dict[str, tuple[int, ...]]:
    """List the 1041 keys of a checkpoint of version 1.2 and their shapes."""
    model = build()
    shapes = {}
    for key, tensor in _sam_state(model).items():
        shapes[TUNED + key] = shapes[ORIGINAL + key] = tuple(tensor.shape)
    for key, tensor in model.detector.state_dict().items():
        for name in _repeated(key):
            shapes[DETECTOR + name] = tuple(tensor.shape)
    return shapes


def load(path: Path, *, device: str, bfloat16: bool = False) -> VitB:
    """Load a checkpoint; nothing in the file is executed.

    Parameters
    ----------
    path
        Path of the ``.pt`` file, or of a file that wraps its content as ``state_dict``.
    device
        ``cpu`` or ``cuda``.
    bfloat16
        True keeps and applies the large layers in bfloat16, see :func:`lower`.

    Raises
    ------
    InputError
        Anything but exactly the keys and shapes of a published checkpoint.
    """
    written = path.stat().st_mtime_ns if path.is_file() else 0

    def read() -> dict[str, Any]:
        state = _read(path)
        if path.stat().st_mtime_ns != written:
            raise _unfit(path, "another file than at the start of this job")
        return state

    model = fill(read, path, device=device, bfloat16=bfloat16)
    if device == "cpu" and not bfloat16 and zipfile.is_zipfile(path):
        prefixes = {
            model.detector.backbone.body: DETECTOR + "backbone.body.",
            model.encoder: _prefix(model) + "image_encoder.",
        }
        for encoder, prefix in prefixes.items():
            model.refills[encoder] = partial(_refill, encoder, read, prefix)
            encoder.to("meta")
        for part in model.parts:
            _release(part)
    return model


def fill(
    read: Callable[[], dict[str, Any]], path: Path, *, device: str, bfloat16: bool = False
) -> VitB:
    """Fill the networks with the tensors of a checkpoint, without a copy; see :func:`load`.

    In bfloat16 the checkpoint is released after each network and read again for the next, so that
    memory holds no more than one network of a mapped file.
    """
    model = build()
    state = read()
    model.stretched = any(key.startswith(TUNED) for key in state)
    _check(path, state, tuned=model.stretched)
    prefix = _prefix(model)
    sources = (
        {key: DETECTOR + _repeated(key)[-1] for key in model.detector.state_dict()},
        {key: prefix + "image_encoder." + key for key in model.encoder.state_dict()},
        {key: prefix + key for key in model.decoder.state_dict()},
    )
    for part, source in zip(model.parts, sources, strict=True):
        state = state or read()
        _assign(part, {key: state[name] for key, name in source.items()})
        if bfloat16:
            lower(part)
            _release(part)
            state = {}
        part.to(device)
    return model


def _prefix(model: VitB) -> str:
    return TUNED if model.stretched else ORIGINAL


def _assign(part: nn.Module, tensors: dict[str, Tensor]) -> None:
    part.load_state_dict({key: tensor.float() for key, tensor in tensors.items()}, assign=True)
    part.requires_grad_(requires_grad=False)


def _refill(encoder: ImageEncoder, read: Callable[[], dict[str, Any]], prefix: str) -> None:
    state = read()
    _assign(encoder, {key: state[prefix + key] for key in encoder.state_dict()})


def supports_bfloat16(device: str) -> bool:
    """Tell whether the device multiplies bfloat16 matrices in hardware."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("amx_bf16", "avx512_bf16", "bf16"))


def lower(part: nn.Module) -> None:
    """Turn the large layers of a network to bfloat16, in place.

    Norms, residual streams, heads and the tokens of the mask decoder stay float32.
    """
    for module in part.modules():
        if isinstance(module, Attention | PatchEmbed | RCDA | SelfAttention):
            module.bfloat16()
        elif isinstance(module, Block):
            module.mlp.bfloat16()
        elif isinstance(module, FeedForward):
            module.linear1.bfloat16()
            module.linear2.bfloat16()
        elif isinstance(module, BoxDecoder):
            module.image_dtype = torch.bfloat16


def _release(part: nn.Module) -> None:
    """Copy the tensors that are still float32, so that the mapped file leaves memory."""
    for tensor in (*part.parameters(), *part.buffers()):
        if tensor.dtype == torch.float32:
            tensor.data = tensor.data.clone()


def _sam_state(model: VitB) -> dict[str, Tensor]:
    encoder = {"image_encoder." + k: v for k, v in model.encoder.state_dict().items()}
    return encoder | model.decoder.state_dict()


def _repeated(key: str) -> list[str]:
    """Name a key of CellFinder as a checkpoint does: heads once for every decoder layer."""
    for head in HEADS:
        before, found, after = key.partition(f"{head}.")
        if found:
            return [f"{before}{head}.{k}.{after}" for k in range(N_LAYERS)]
    return [key]


def _read(path: Path) -> dict[str, Any]:
    try:
        # Mapped files are read where used: SAM's unused copy never enters memory.
        content = torch.load(
            path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
        )
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, OSError) as error:
        raise _unfit(path, first_line(error)) from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict):
        raise _unfit(path, f"a {type(content).__name__}")
    return content


def _check(path: Path, state: dict[str, Any], *, tuned: bool) -> None:
    shapes = expected_shapes()
    if not tuned:
        shapes = {k: v for k, v in shapes.items() if not k.startswith(TUNED)}
    missing = sorted(shapes.keys() - state.keys())
    unknown = sorted(map(str, state.keys() - shapes.keys()))
    if missing or unknown:
        parts = [
            f"{len(keys)} {word} keys such as {keys[0]!r}"
            for word, keys in (("missing", missing), ("unknown", unknown))
            if keys
        ]
        raise _unfit(path, " and ".join(parts))
    for key, shape in shapes.items():
        tensor = state[key]
        if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
            raise _unfit(path, f"no floating-point tensor under {key!r}")
        if tuple(tensor.shape) != shape:
            raise _unfit(path, f"{key!r} of shape {tuple(tensor.shape)} instead of {shape}")


def _unfit(path: Path, found: str) -> InputError:
    return InputError(
        path, found=found, expected=EXPECTED, remedy="choose that file, or other weights"
    )
