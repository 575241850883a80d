"""``cellsam-core split``: decide which labelled images train and which judge."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "manifest",
        type=Path,
        help="tab-separated: set, image, label, modality, source, split; a source or a split that "
        "is empty is filled in",
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="folder the manifest's paths are in"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="the filled manifest")
    parser.add_argument(
        "--validation-share", type=float, default=0.15, help="fraction of each modality's images"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the choice")


def run(args: argparse.Namespace) -> None:
    from cellsam_core.cli.limits import MAX_SEED, refuse_outside
    from cellsam_core.files.atomic import atomic_path
    from cellsam_core.training.labelled import read_grey, read_manifest, refuse_absent
    from cellsam_core.training.split import choose_split, fill_sources

    refuse_outside("option `validation_share`", args.validation_share, 0, 1)
    refuse_outside("option `seed`", args.seed, 0, MAX_SEED)
    rows = read_manifest(args.manifest, "source")
    refuse_absent(args.data, rows["image"].tolist())
    if rows["source"].isna().any():
        # A new image may be a copy of one whose source is given, in whichever set.
        rows["source"] = fill_sources(rows, [read_grey(args.data / i) for i in rows["image"]])
    rows["split"] = choose_split(rows, validation_share=args.validation_share, seed=args.seed)
    with atomic_path(args.output) as temporary:
        rows.to_csv(temporary, sep="\t", index=False, lineterminator="\n")
