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
    from cellsam_core.io.atomic import atomic_path
    from cellsam_core.io.tables import read_table
    from cellsam_core.segment.labelled import read_grey
    from cellsam_core.segment.split import choose_split, group_by_source

    columns = ["set", "image", "label", "modality", "source", "split"]
    rows = read_table(args.manifest, columns, sep="\t", dtype=str)
    for name, group in rows[rows["source"].isna()].groupby("set"):
        numbers = group_by_source([read_grey(args.data / image) for image in group["image"]])
        rows.loc[group.index, "source"] = [f"{name}:{k:03d}" for k in numbers]
    rows["split"] = choose_split(rows, validation_share=args.validation_share, seed=args.seed)
    with atomic_path(args.output) as temporary:
        rows.to_csv(temporary, sep="\t", index=False, lineterminator="\n")
