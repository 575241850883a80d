"""Error of the measured cell diameter, in octaves, by set of image.

``python benchmarks/measure_diameter.py --data DATA`` measures the validation and test images of
the manifest, and prints the mean distance to the diameter of their labels by set. DATA is the
folder of ``measure_kinds.py``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from cellsam_core.benchmark.images import MANIFEST, manifest_entries
from cellsam_core.segmentation.diameter import measure_diameter_px


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path, nargs="?", default=MANIFEST)
    parser.add_argument("--data", type=Path, required=True)
    args = parser.parse_args()
    rows = []
    for entry in manifest_entries(args.manifest, args.data, ["validation", "test"]):
        image = entry.read()
        measured = measure_diameter_px([image.channels.astype(np.float32) / 255])
        octaves = abs(float(np.log2(measured / image.diameter_px)))
        rows.append((entry.split, entry.modality, entry.set_name, octaves))
    table = pd.DataFrame(rows, columns=["split", "modality", "set", "octaves"])
    means = table.groupby(["split", "modality", "set"])["octaves"].mean()
    print(means.to_string(float_format="{:.3f}".format))
    print(f"mean of the sets: {means.mean():.3f}")


if __name__ == "__main__":
    main()
