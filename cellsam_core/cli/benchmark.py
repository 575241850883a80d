"""``cellsam-core benchmark``: compare methods on labelled images, by set and modality."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellsam_core.cli.limits import MAX_SEED, refuse_outside
from cellsam_core.errors import InputError
from cellsam_core.models import clahe_clip_limit_of
from cellsam_core.options import add_options
from cellsam_core.segmentation.options import ModelOptions, SegmentOptions

if TYPE_CHECKING:
    import argparse

    import pandas as pd

    from cellsam_core.benchmark.images import Entry
    from cellsam_core.benchmark.methods import Method
    from cellsam_core.benchmark.score import Diameter

SPLITS = "validation,test"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "manifest",
        type=Path,
        nargs="?",
        help="set, image, label, modality, split; without it, that of the shipped weights",
    )
    parser.add_argument(
        "--data",
        type=Path,
        help="folder of the manifest's paths; without it, a small simulated set is scored",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the results")
    parser.add_argument(
        "--methods",
        default="",
        help="cellsam (this package with the option `weights`), otsu_watershed, cellpose,"
        " stardist, official, comma separated; without it, the first two and all installed",
    )
    parser.add_argument(
        "--split",
        help="rows of the manifest to score, comma separated (default: validation,test)",
    )
    parser.add_argument("--seed", type=int, help="of the simulated set (default: 0)")
    parser.add_argument(
        "--clahe",
        action="store_true",
        help="cellsam: show it images after CLAHE, as the published weights always see them",
    )
    parser.add_argument("--no-speed", action="store_true", help="leave the speed table out")
    parser.add_argument(
        "--cell-diameter-px",
        default="auto",
        help="px, auto, or truth: the median of the labels; where a method takes it",
    )
    add_options(parser, ModelOptions)
    add_options(parser, SegmentOptions, without={"cell_diameter_px", "dark_cells"})


def run(args: argparse.Namespace) -> None:
    from cellsam_core.benchmark.methods import CELLSAM, choose_methods
    from cellsam_core.files.atomic import exclusive

    options = _segment_options(args)
    diameter_px: Diameter = "truth"
    if args.cell_diameter_px != "truth":
        given = options.cell_diameter_px
        diameter_px = None if given == "auto" else float(given)
    names = choose_methods(_names(args.methods))
    entries = _entries(args)
    if args.clahe and CELLSAM not in names:
        raise InputError(
            "option `clahe`",
            found=f"the methods {', '.join(names)}",
            expected=f"{CELLSAM}, which it is for",
            remedy="leave it out",
        )
    methods = {name: load_method(name, args) for name in names}
    with exclusive(args.output / "benchmark"):  # a folder that can't be written is found now
        _score(args, entries, methods, diameter_px)


def _score(
    args: argparse.Namespace,
    entries: list[Entry],
    methods: dict[str, Method],
    diameter_px: Diameter,
) -> None:
    from cellsam_core.benchmark.page import build_page, picture_sections
    from cellsam_core.benchmark.score import (
        image_table,
        run_methods,
        summary_table,
        without_repeats,
    )
    from cellsam_core.files.atomic import atomic_path

    names = list(methods)
    results = run_methods(entries, methods, diameter_px)
    summary = summary_table(results)
    tables = {"benchmark": summary, "images": image_table(results)}
    pictures = picture_sections(results, names[0], methods[names[0]], diameter_px)
    speed = None
    if not args.no_speed:
        from cellsam_core.benchmark.speed import speed_tables

        loaders = {name: partial(load_method, name, args) for name in names}
        speed, tables["stages"] = speed_tables(loaders)
        tables["speed"] = speed
    for name, table in tables.items():
        with atomic_path(args.output / f"{name}.tsv") as temporary:
            table.to_csv(temporary, sep="\t", index=False, float_format="%.4f")
    with atomic_path(args.output / "benchmark.html") as temporary:
        temporary.write_text(build_page(summary, speed, pictures), encoding="utf-8")
    print(_text(without_repeats(summary)))
    if speed is not None:
        print(f"\n{_text(speed)}\n\n{_text(tables['stages'])}")
    print(args.output / "benchmark.html")


def load_method(name: str, args: argparse.Namespace) -> Method:
    """Load one method; picklable, so that its speed can be measured in a process of its own."""
    from cellsam_core.benchmark import methods

    if name == methods.CELLSAM:
        from cellsam_core.segmentation.stage import load_model

        options = _segment_options(args)
        model = load_model(args.weights, preset=args.preset, device=args.device)
        clahe = args.clahe or clahe_clip_limit_of(args.weights, args.preset) > 0
        segmenter, min_area_px = model.segmenter(options), options.min_area_px
        return methods.cellsam(
            segmenter, tile_px=options.tile_px, min_area_px=min_area_px, clahe=clahe
        )
    if name == "otsu_watershed":
        from cellsam_core.benchmark.otsu import segment_otsu_watershed

        return methods.Method(segment_otsu_watershed)
    from cellsam_core.segmentation.weights import choose_device

    return methods.Method(methods.FOREIGN[name].load(choose_device(args.device)))


def _segment_options(args: argparse.Namespace) -> SegmentOptions:
    """Make the options of segmentation; the diameter may also be that of the labels."""
    given = args.cell_diameter_px
    diameter_px: Any
    try:
        diameter_px = "auto" if given in ("auto", "truth") else float(given)
    except ValueError:
        diameter_px = given
    names = ("score_threshold", "iou_threshold", "mask_threshold", "tile_px", "min_area_px")
    values = {name: getattr(args, name) for name in names}
    return SegmentOptions(cell_diameter_px=diameter_px, **values)


def _entries(args: argparse.Namespace) -> list[Entry]:
    from cellsam_core.benchmark.images import MANIFEST, manifest_entries, simulated_entries

    if args.data is None:
        _refuse(args, "manifest", "the option `data`", "name the folder that its paths start from")
        _refuse(args, "split", "no split of the simulated set", "leave it out, or give `data`")
        refuse_outside("option `seed`", args.seed or 0, 0, MAX_SEED)
        return simulated_entries(args.seed or 0)
    _refuse(args, "seed", "no seed beside `data`", "leave it out")
    given = SPLITS if args.split is None else args.split
    splits = _names(given)
    if not splits:
        _refuse(args, "split", f"splits such as {SPLITS}", "name one")
    return manifest_entries(args.manifest or MANIFEST, args.data, splits)


def _names(text: str) -> list[str]:
    """Cut names at commas; blanks around a name are no part of it."""
    return [name for part in text.split(",") if (name := part.strip())]


def _refuse(args: argparse.Namespace, option: str, expected: str, remedy: str) -> None:
    """Refuse an option that was given where it would do nothing."""
    value = getattr(args, option)
    if value is not None:
        raise InputError(f"option `{option}`", found=str(value), expected=expected, remedy=remedy)


def _text(table: pd.DataFrame) -> str:
    return str(table.to_string(index=False, float_format=lambda value: f"{value:.3f}"))
