"""Average the weights of training runs that went on from each other.

``python benchmarks/average_weights.py A.safetensors B.safetensors -o OUT.safetensors``
takes the mean of each tensor: where the runs end in one valley of the loss, their mean
generalises better than each (Izmailov et al., 2018, https://arxiv.org/abs/1803.05407).
Counters are those of the last file. With ``--diameter`` the files are of the network that tells
cell diameters, as ``train_diameter.py`` writes them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from cellsam_core.segmentation.weights import load_trainable, save


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", nargs="+", help="names or paths")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--diameter", action="store_true", help="files of train_diameter.py")
    args = parser.parse_args()
    read = load_file if args.diameter else lambda name: load_trainable(name).state_dict()
    states = [read(name) for name in args.weights]
    mean = {
        name: torch.stack([s[name].float() for s in states]).mean(0)
        if last.is_floating_point()
        else last
        for name, last in states[-1].items()
    }
    if args.diameter:
        save_file({name: value.half().contiguous() for name, value in mean.items()}, args.output)
    else:
        save(mean, args.output)


if __name__ == "__main__":
    main()
