"""Measure the decoder; the tables of docs/decoding.md.

``python benchmarks/measure_decoding.py simulated`` recall and true error rate at the 5 % asked
for, with ``--starfish PYTHON`` also those of starfish's decoder on the same spots,
``python benchmarks/measure_decoding.py speed`` beside the bare matrix product, one thread,
``python benchmarks/measure_decoding.py real FOLDER`` calls against blank fraction, field by field.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from cellsam_core.decoding.calibrate import rate_of_counts, threshold_for_rate
from cellsam_core.decoding.field import Calls, decode_plane, drop_duplicates, prepare_bits
from cellsam_core.decoding.open_raw import open_raw
from cellsam_core.decoding.pixels import brightness_scale, find_candidates, nearest_codewords
from cellsam_core.decoding.registration import find_beads, measure_drift
from cellsam_core.simulation.rounds import (
    Rounds,
    RoundsSpec,
    lit_bits,
    mhd4_codebook,
    seqfish_codebook,
    simulate_rounds,
)

if TYPE_CHECKING:
    from cellsam_core.decoding.codebook import Codebook
    from cellsam_core.decoding.field import Detector

PIXEL_SIZE_UM = 0.108
DENSITY_UM2 = 0.6  # molecules per um^2; half of them crowd in clusters
CLUSTER_SIGMA_PX = 12.0
MATCH_RADIUS_PX = 2.0
TARGET = 0.05
ONE_MISSING_BIT = 0.5176  # of weight 4; the cut of starfish's example and of MERlin
STARFISH_BRIGHTNESS = 0.25  # of a typical call's; with all our spots it does worse


class Exposed(NamedTuple):
    """A simulated field before anything is done to it.

    `peaks` ``(n, bits)`` are the heights of the molecules' spots, 0 where a bit is dark; `yx` and
    `gene` as in `Field`.
    """

    book: Codebook
    round_of_bit: np.ndarray
    rounds: Rounds
    peaks: np.ndarray
    yx: np.ndarray
    gene: np.ndarray


class Field(NamedTuple):
    """A simulated field: its images, what the decoder calls, and the truth.

    `stack` holds the registered images of all bits in noise levels; `yx` ``(n, 2)`` and `gene`
    ``(n,)`` are the true places and codewords.
    """

    book: Codebook
    n_rounds: int
    stack: np.ndarray
    calls: Calls
    yx: np.ndarray
    gene: np.ndarray


def expose(kind: str, seed: int, field_seed: int, size_px: int) -> Exposed:
    """Simulate the rounds of a field; `seed` alone decides on the codebook."""
    rng = np.random.default_rng(seed)
    n_genes, n_blanks = (110, 30) if kind == "merfish" else (1600, 400)
    genes = [f"gene{i}" for i in range(n_genes)]
    blanks = [f"Blank-{i}" for i in range(n_blanks)]
    if kind == "merfish":
        book, n_rounds = mhd4_codebook(genes, blanks, rng), 8
    else:
        (book, _), n_rounds = seqfish_codebook(genes, blanks, rng), 20
    rng = np.random.default_rng((seed, field_seed))
    n = round(DENSITY_UM2 * (size_px * PIXEL_SIZE_UM) ** 2)
    yx = rng.uniform(0, size_px, size=(n, 2))
    centres = rng.uniform(0, size_px, size=(max(1, n // 30), 2))
    crowd = centres[rng.integers(len(centres), size=n // 2)]
    yx[: n // 2] = crowd + rng.normal(0, CLUSTER_SIGMA_PX, size=crowd.shape)
    yx = np.clip(yx, 0, size_px - 1)
    gene = rng.integers(n_genes, size=n)
    n_bits = len(book.bit_names)
    round_of_bit = np.arange(n_bits) // (n_bits // n_rounds)
    spec = RoundsSpec()
    peaks = lit_bits(rng, book.bits[gene], spec)
    rounds = simulate_rounds(rng, (size_px, size_px), (*yx.T, peaks), round_of_bit, spec)
    return Exposed(book, round_of_bit, rounds, peaks, yx, gene)


def decode(field: Exposed, detect: Detector | None = None) -> Field:
    """Register and decode a field."""
    rounds, book = field.rounds, field.book
    beads = [find_beads(image) for image in rounds.fiducials]
    drifts = [measure_drift(beads[0], one) for one in beads]
    of_bit = [drifts[r] for r in field.round_of_bit]
    stack = prepare_bits(rounds.bits, of_bit, RoundsSpec().sigma_px, detect)
    calls, _ = decode_plane(stack, book)
    return Field(book, len(drifts), stack, calls, field.yx, field.gene)


def matched(calls: Calls, yx: np.ndarray, gene: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pair calls and molecules of one gene, each once, the closest first."""
    is_right, is_found = np.zeros(len(calls.codeword), bool), np.zeros(len(gene), bool)
    places = np.stack([calls.y_px, calls.x_px], axis=1)
    pairs = cKDTree(places).sparse_distance_matrix(
        cKDTree(yx), MATCH_RADIUS_PX, output_type="ndarray"
    )
    pairs = pairs[calls.codeword[pairs["i"]] == gene[pairs["j"]]]
    for pair in pairs[np.argsort(pairs["v"], kind="stable")]:
        if not is_right[pair["i"]] and not is_found[pair["j"]]:
            is_right[pair["i"]] = is_found[pair["j"]] = True
    return is_right, is_found


def starfish_calls(field: Field, python: str) -> Calls:
    """Decode our decoder's spots with starfish; `log_odds` is minus its distance."""
    scale = brightness_scale(field.stack, field.book)
    spots = find_candidates(field.stack, scale, field.book)
    least = STARFISH_BRIGHTNESS * np.sqrt(field.book.bits.sum(axis=1))
    row, column = spots.row, spots.column
    is_bright = spots.projection[row, column] > least[spots.codeword]
    row, column = row[is_bright], column[is_bright]
    brightness = np.maximum(field.stack[:, row, column].T / scale, 0)
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "given.npz", Path(folder) / "found.npz"
        np.savez(given, bits=field.book.bits, n_rounds=field.n_rounds, brightness=brightness)
        script = Path(__file__).with_name("starfish_decoding.py")
        subprocess.run([python, script, given, found], check=True, stderr=subprocess.DEVNULL)
        codeword, distance = (np.load(found)[name] for name in ("codeword", "distance"))
    yx = row.astype(float), column.astype(float)
    return drop_duplicates(
        Calls(*yx, np.zeros(len(codeword), dtype=np.int64), codeword, -distance, distance)
    )


def at_target(book: Codebook, fields: list[Calls]) -> list[Calls]:
    """Keep the surest calls of a sample's fields, as many as the blanks of all fields allow."""
    is_blank = np.concatenate([book.is_blank[calls.codeword] for calls in fields])
    log_odds = np.concatenate([calls.log_odds for calls in fields])
    n_blanks = int(book.is_blank.sum())
    limit = threshold_for_rate(log_odds, is_blank, n_blanks, len(book.names) - n_blanks, TARGET)
    return [calls.take(calls.log_odds >= limit) for calls in fields]


def score(fields: list[Field], sample: list[Calls]) -> str:
    """Recall, true error rate, and the rate that blanks measure, as cells of a table."""
    rights, founds, n_blank = [], [], 0
    for field, calls in zip(fields, sample, strict=True):
        blank = field.book.is_blank[calls.codeword]
        right, found = matched(calls.take(~blank), field.yx, field.gene)
        rights.append(right)
        founds.append(found)
        n_blank += int(blank.sum())
    right, found, is_blank = np.concatenate(rights), np.concatenate(founds), fields[0].book.is_blank
    measured = float(rate_of_counts(n_blank, len(right), is_blank.sum(), (~is_blank).sum()))
    return f"{found.mean():.3f} | {1 - right.mean():.3f} | {measured:.3f}"


def report_simulated(seeds: range, n_fields: int, starfish_python: str | None) -> None:
    """Print a row for each simulated sample and decoder."""
    print("| assay | sample | molecules | decoder | recall | true rate | measured by blanks |")
    print("|---|---|---|---|---|---|---|")
    for kind, size_px in (("merfish", 768), ("seqfish", 640)):
        for seed in seeds:
            fields = [decode(expose(kind, seed, field, size_px)) for field in range(n_fields)]
            book = fields[0].book
            n_molecules = sum(len(field.gene) for field in fields)
            name = f"| {kind} | {seed} | {n_molecules}"
            ours = at_target(book, [field.calls for field in fields])
            print(f"{name} | ours | {score(fields, ours)} |", flush=True)
            if starfish_python is None:
                continue
            theirs = [starfish_calls(field, starfish_python) for field in fields]
            default = [calls.take(calls.distance <= ONE_MISSING_BIT) for calls in theirs]
            print(f"| | | | starfish, its cut | {score(fields, default)} |")
            cut = at_target(book, theirs)
            print(f"| | | | starfish, cut by blanks | {score(fields, cut)} |", flush=True)


def report_speed() -> None:
    """Print CPU seconds of decoding and of the bare product, best of three each."""
    rng = np.random.default_rng(0)
    book = mhd4_codebook([f"g{i}" for i in range(70)], [f"Blank-{i}" for i in range(70)], rng)
    vectors = rng.random((16, 1_000_000), dtype=np.float32)
    unit = book.unit_vectors
    times: dict[str, list[float]] = {"matrix product": [], "nearest codewords": []}
    for _ in range(3):
        start = time.process_time()
        products = vectors.T @ unit.T
        times["matrix product"].append(time.process_time() - start)
        del products
        start = time.process_time()
        nearest_codewords(vectors, unit)
        times["nearest codewords"].append(time.process_time() - start)
    for name, seconds in times.items():
        print(f"{name}: {min(seconds):.3f} s")
    ratio = min(times["nearest codewords"]) / min(times["matrix product"])
    print(f"1 M pixels x 140 codewords: {ratio:.2f} times the bare matrix product")


def report_real(folder: Path) -> None:
    """Print how the share of blanks grows with the calls that are taken."""
    raw = open_raw(folder)
    is_blank = raw.codebook.is_blank
    for field in raw.fields:
        beads = {n: find_beads(raw.read(p)) for n, p in field.fiducials.items()}
        reference = beads[raw.round_of_bit[0]]
        drifts = {n: measure_drift(reference, one) for n, one in beads.items()}
        stack = prepare_bits(
            (raw.read(plane) for plane in field.bits[0]),
            [drifts[n] for n in raw.round_of_bit],
            sigma_px=1.3,
        )
        calls, _ = decode_plane(stack, raw.codebook)
        blank = is_blank[calls.codeword[np.argsort(-calls.log_odds, kind="stable")]]
        share = np.cumsum(blank) / np.arange(1, len(blank) + 1)
        most = np.flatnonzero(share <= 0.15)
        print(f"field {field.name}: {most[-1] + 1} calls at a blank fraction of 0.15 or less")
        for n in (10, 20, 30, 40, 50, 60, 80, 100, 150, len(blank)):
            if n <= len(blank):
                print(f"| {n} | {share[n - 1]:.2f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="what", required=True)
    simulated = commands.add_parser("simulated")
    simulated.add_argument("--first-seed", type=int, default=0)
    simulated.add_argument("--seeds", type=int, default=3)
    simulated.add_argument("--fields", type=int, default=12, help="of each sample")
    simulated.add_argument("--starfish", metavar="PYTHON", help="Python that has starfish")
    commands.add_parser("speed")
    commands.add_parser("real").add_argument("folder", type=Path)
    args = parser.parse_args()
    if args.what == "simulated":
        seeds = range(args.first_seed, args.first_seed + args.seeds)
        report_simulated(seeds, args.fields, args.starfish)
    elif args.what == "speed":
        report_speed()
    else:
        report_real(args.folder)
