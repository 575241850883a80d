"""Averaged weights out of the checkpoint of a training run that is not over.

``python benchmarks/checkpoint_weights.py RUN/checkpoint.pt -o now.safetensors`` lets a long run
be judged on its way. The learning rate is still high then: the end of the run is better.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from cellsam_core.segmentation.weights import save


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    state = torch.load(args.checkpoint, map_location="cpu", weights_only=True)
    save(state["average"], args.output, {"step": state["step"]})
    print(f"step {state['step']}")


if __name__ == "__main__":
    main()
