"""Damage inputs of every kind, run the commands on them, and judge the outcome.

    python tests/fuzz --runs 600 --seed 1 [--kinds TIFF,PNG]

Prints a table with one row for each kind. *right*: the result is that of the undamaged input, or
it is correct for the content that another reader finds in the damaged file. *refused*: one sentence
and exit status 1. Every command may take 60 s of one core and 2 GB of memory. Failures are printed
to standard error, and the exit status is then 1.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
import tempfile
from collections import Counter
from pathlib import Path
from random import Random

from judge import FAILED, VERDICTS, Judge
from kinds import KINDS, Kind

import cellsam_core


def fuzz(kinds: list[Kind], n_runs: int, seed: int) -> bool:
    """Run and print the table; tell whether nothing failed."""
    total = sum(kind.share for kind in kinds)
    print(f"| kind | inputs | {' | '.join(VERDICTS)} | longest (CPU s) | largest (MiB) |")
    print(f"|---|{'---|' * (len(VERDICTS) + 3)}", flush=True)
    counts: Counter[str] = Counter()
    longest, largest, done = 0.0, 0, 0
    for index, kind in enumerate(kinds):
        upto = round(n_runs * sum(k.share for k in kinds[: index + 1]) / total)
        own: Counter[str] = Counter()
        seconds, peak = 0.0, 0
        with tempfile.TemporaryDirectory() as folder:
            judge = Judge(kind, Path(folder))
            for number in range(upto - done):
                chance = Random(f"{seed} {kind.name} {number}")
                verdict, what, outcome = judge.judge(chance)
                own[verdict] += 1
                seconds, peak = max(seconds, outcome.seconds), max(peak, outcome.peak_bytes)
                if verdict == FAILED:
                    told = f"{kind.name} {number}: {what}\n{outcome.text}\n"
                    print(told, file=sys.stderr, flush=True)
        print(row(kind.name, own, seconds, peak), flush=True)
        counts += own
        longest, largest, done = max(longest, seconds), max(largest, peak), upto
    print(row("all", counts, longest, largest))
    return counts[FAILED] == 0


def preload() -> None:
    """Import once what children would import each."""
    for module in pkgutil.walk_packages(cellsam_core.__path__, "cellsam_core."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    importlib.import_module("snakemake.cli")


def row(name: str, counts: Counter[str], seconds: float, peak: int) -> str:
    """Format a line of the table."""
    figures = " | ".join(str(counts[verdict]) for verdict in VERDICTS)
    return f"| {name} | {counts.total()} | {figures} | {seconds:.1f} | {peak >> 20} |"


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", help="names, cut by commas; all of them if left out")
    args = parser.parse_args()
    chosen = args.kinds.split(",") if args.kinds else [kind.name for kind in KINDS]
    preload()
    kinds = [kind for kind in KINDS if kind.name in chosen]
    sys.exit(0 if fuzz(kinds, args.runs, args.seed) else 1)


if __name__ == "__main__":
    main()
