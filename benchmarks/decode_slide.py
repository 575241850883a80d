"""Decode a simulated slide of many fields through the workflow; kill it and resume it on the way.

    python benchmarks/decode_slide.py slide [--edge 15] [-o slide.json]   the whole workflow
    python benchmarks/decode_slide.py errors [--edge 5]                   what alignment gains

The fields are 128 px wide and overlap by 32 px. The second colour is up to 2 px off, and each
written position up to 10 px along each axis. `slide` starts Snakemake, kills it with all its jobs
once some batches are finished, and resumes it. Recall and the true share of wrong calls count each
molecule once: a call is right if a molecule of its gene lies within 2 px.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from scipy.spatial import cKDTree

import cellsam_core as cc
from cellsam_core.decoding.open_raw import open_raw

ROOT = Path(__file__).resolve().parents[1]
FIELD_PX, OVERLAP_PX = 128, 32
PIXEL_SIZE_UM = 0.108
MOLECULES_PER_PX = 0.007
CELLS_PER_PX = 80 / 512**2
RADIUS_PX = 2.0
FIELDS_PER_BATCH = 15
SHIFTED = cc.RawRoundsOptions(overlap_px=OVERLAP_PX, colour_shift_px=2.0, position_error_px=10.0)


def simulate(folder: Path, n_edge: int, rounds: cc.RawRoundsOptions, seed: int) -> None:
    """Write the raw rounds of a slide of `n_edge` x `n_edge` fields."""
    size = n_edge * (FIELD_PX - OVERLAP_PX) + OVERLAP_PX
    options = cc.TissueOptions(
        size_px=size,
        cells=round(CELLS_PER_PX * size**2),
        transcripts=round(MOLECULES_PER_PX * size**2),
    )
    rounds = replace(rounds, fields_per_edge=n_edge)
    cc.simulate_tissue(folder, seed=seed, options=options, raw_rounds=rounds)


def score(raw: Path, decoded: Path) -> dict[str, float]:
    """Compare the transcripts of a slide with its molecules, and the positions with the true."""
    quality = json.loads((decoded / "decode_qc.json").read_text())
    said = np.array([field.origin_um for field in open_raw(raw).fields]) / PIXEL_SIZE_UM
    shift = [[f["stage_shift_x_px"], f["stage_shift_y_px"]] for f in quality["fields"]]
    corners = pd.read_csv(raw / "truth" / "fields.csv")[["x_px", "y_px"]].to_numpy()
    off = said + shift - corners
    moved = off.mean(axis=0)  # of the slide as a whole, which nothing tells
    table = pq.read_table(decoded / "transcripts.parquet").to_pandas()
    truth = pd.read_csv(raw / "truth" / "transcripts.csv")
    at = table[["x_um", "y_um"]].to_numpy() / PIXEL_SIZE_UM - moved
    true = truth[["x_px", "y_px"]].to_numpy()
    gene, name = table["gene"].astype(str).to_numpy(), truth["gene"].to_numpy()
    pairs = cKDTree(at).sparse_distance_matrix(cKDTree(true), RADIUS_PX, output_type="ndarray")
    pairs = np.sort(pairs[gene[pairs["i"]] == name[pairs["j"]]], order="v")
    is_right, is_found = np.zeros(len(at), bool), np.zeros(len(true), bool)
    for i, j, _ in pairs.tolist():
        if not is_right[i] and not is_found[j]:
            is_right[i] = is_found[j] = True
    is_gene = ~table["gene"].astype(str).str.startswith("Blank").to_numpy()
    others = quality["colours"][1:]
    return {
        "molecules": len(true),
        "recall": float(is_found.mean()),
        "wrong": float(1 - is_right[is_gene].mean()),
        "wrong_by_blanks": quality["misidentification_rate"],
        "position_off_px": float(np.hypot(*(off - moved).T).max()),
        "linked_fields": quality["stage"]["n_linked_fields"],
        "links_left_out": quality["stage"]["n_links_left_out"],
        "colour_shift_px": others[0]["largest_shift_px"] if others else 0.0,
        "colour_residual_px": others[0]["residual_px"] if others else float("nan"),
    }


def measure_errors(n_edge: int, seeds: int) -> None:
    """Print the scores without errors, with errors put right, and with errors left."""
    left = cc.DecodeOptions(stage_error_px=0)
    print("| slide | seed | recall | wrong | wrong by blanks | position off, px |")
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder:
            here = Path(folder)
            for name, rounds in (("true", replace(SHIFTED, colour_shift_px=0.0)), ("off", SHIFTED)):
                rounds = rounds if name == "off" else replace(rounds, position_error_px=0.0)
                simulate(here / name, n_edge, rounds, seed)
                cc.decode(here / name, here / f"{name}_out")
                show(f"errors {name}", seed, score(here / name, here / f"{name}_out"))
            table = here / "off" / "dataorganization.csv"
            table.write_text(table.read_text().replace(",color", ",of"))
            cc.decode(here / "off", here / "left_out", left)
            show("errors left", seed, score(here / "off", here / "left_out"))


def show(name: str, seed: int, row: dict[str, float]) -> None:
    """Print a row of the table."""
    figures = ("recall", "wrong", "wrong_by_blanks", "position_off_px")
    print(f"| {name} | {seed} | {' | '.join(f'{row[key]:.3f}' for key in figures)} |", flush=True)


class Run:
    """Snakemake on the slide, in a folder."""

    def __init__(self, folder: Path, raw: Path, cores: int) -> None:
        self.folder, self.cores = folder, cores
        (folder / "config").mkdir(parents=True)
        text = f"samples: sheet.tsv\nfields_per_batch: {FIELDS_PER_BATCH}\n"
        (folder / "config" / "config.yaml").write_text(text)
        sheet = f"sample\tassay\tpath\nslide\tmerfish\t{raw}\n"
        (folder / "sheet.tsv").write_text(sheet)

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        """Start Snakemake as the leader of a process group."""
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
        command += ["--cores", str(self.cores), *options]
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                command, cwd=self.folder, stdout=log, stderr=log, start_new_session=True
            )

    def batches(self) -> list[Path]:
        """List the batches that are finished."""
        return sorted(self.folder.glob("results/slide/0_fields/*-of-*/batch.json"))

    def kill_after(self, n_batches: int) -> int:
        """Start, and kill all once some batches are finished and another is under way."""
        process = self.start()
        parts = "results/slide/0_fields/*.parts/*/field.json"
        while process.poll() is None:
            if len(self.batches()) >= n_batches and len(list(self.folder.glob(parts))) >= 3:
                break
            time.sleep(0.2)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return len(self.batches())


def measure_slide(n_edge: int, cores: int, seed: int) -> dict[str, Any]:
    """Run the workflow on a slide, kill it once, and score it."""
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw"
        simulate(raw, n_edge, SHIFTED, seed)
        print("simulated", flush=True)
        run = Run(Path(folder) / "run", raw, cores)
        n_finished = run.kill_after(3)
        print(f"killed with {n_finished} batches finished", flush=True)
        assert run.start("--unlock").wait() == 0
        assert run.start().wait() == 0, (run.folder / "log").read_text()[-3000:]
        logs = run.folder / "logs/slide/decode_batch"
        kept = sum(len(re.findall("is there already", p.read_text())) for p in logs.glob("*.log"))
        results = run.folder / "results/slide"
        cells = ad.read_h5ad(results / "3_cells/cells.h5ad")
        found: dict[str, Any] = {"fields": n_edge**2, "batches_kept": n_finished}
        found |= {"fields_kept_of_killed_jobs": kept}
        found |= score(raw, results / "0_decoded")
        found |= {"cells": cells.n_obs, "counts": int(cells.X.sum())}
        found |= jobs_of(run.folder / "benchmarks/slide")
        print(json.dumps(found, indent=1), flush=True)
        one = cc.decode(raw, Path(folder) / "one").folder
        for path in sorted(one.iterdir()):
            assert path.read_bytes() == (results / "0_decoded" / path.name).read_bytes(), path
        return found | {"same_bytes_as_decode": True}


def jobs_of(folder: Path) -> dict[str, float]:
    """Read time and memory of the jobs that decode; batches that ended without a kill."""
    batches = pd.concat(
        pd.read_csv(path, sep="\t") for path in sorted(folder.glob("decode_batch/*.tsv"))
    )
    joined = pd.read_csv(folder / "join_fields.tsv", sep="\t").iloc[0]
    return {
        "batch_cpu_s_per_field": float(batches["cpu_time"].median() / FIELDS_PER_BATCH),
        "batch_rss_mb": float(batches["max_rss"].max()),
        "join_cpu_s": float(joined["cpu_time"]),
        "join_rss_mb": float(joined["max_rss"]),
    }


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("slide", "errors"))
    parser.add_argument("--edge", type=int, help="fields along an edge")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("-o", "--output", type=Path)
    args = parser.parse_args()
    if args.what == "errors":
        measure_errors(args.edge or 5, args.seeds)
        return
    text = json.dumps(measure_slide(args.edge or 15, args.cores, args.seed), indent=1)
    print(text)
    if args.output:
        args.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
