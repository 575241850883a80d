"""Train the network that tells cell diameters: a head on the frozen encoder of other weights.

``python benchmarks/train_diameter.py MANIFEST --data DATA -o diameter.safetensors``, where
MANIFEST is ``cellsam_core/segmentation/weights/tiny_data.tsv``. The
same manifest and weights give the same file on the same machine.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from safetensors.torch import save_file

from cellsam_core.training.diameter import train_diameter
from cellsam_core.training.labelled import load_manifest


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", default="tiny", help="weights with the encoder")
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    images = load_manifest(args.manifest, args.data, "train")
    state = train_diameter(images, args.weights)
    save_file({name: value.half().contiguous() for name, value in state.items()}, args.output)


if __name__ == "__main__":
    main()
