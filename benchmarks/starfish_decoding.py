"""Decode given spots with starfish, for benchmarks/measure_decoding.py.

    python benchmarks/starfish_decoding.py IN.npz OUT.npz

Runs under a Python that has starfish 0.3.1 (pip install starfish==0.3.1 "numpy<2" "pandas<2.2"
"xarray<2024" "scikit-image<0.23" "boto3>=1.34" "setuptools<70"), not under ours. IN holds `bits`
(codewords, bits), `n_rounds` and `brightness` (spots, bits), none negative; OUT gets the nearest
codeword of each spot and its distance.
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
from starfish import Codebook, IntensityTable
from starfish.core.types import SpotAttributes


def main() -> None:
    """Read, decode with `Codebook.decode_metric` as starfish's MERFISH example does, write."""
    given = np.load(sys.argv[1])
    n_words, n_bits = given["bits"].shape
    n_rounds = int(given["n_rounds"])
    shape = n_rounds, n_bits // n_rounds
    names = [str(word) for word in range(n_words)]
    bits = given["bits"].astype(np.uint8).reshape(n_words, *shape)
    book = Codebook.from_numpy(names, *shape, bits)
    n = len(given["brightness"])
    places = SpotAttributes(pd.DataFrame({"x": range(n), "y": range(n), "z": 0, "radius": 1}))
    table = IntensityTable.from_spot_data(
        given["brightness"].reshape(n, *shape),
        places,
        ch_values=range(shape[1]),
        round_values=range(shape[0]),
    )
    found = book.decode_metric(
        table, max_distance=2, min_intensity=0, norm_order=2, metric="euclidean"
    )
    np.savez(
        sys.argv[2],
        codeword=found["target"].to_numpy().astype(np.int32),
        distance=found["distance"].to_numpy().astype(np.float32),
    )


if __name__ == "__main__":
    main()
