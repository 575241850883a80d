"""``preprocess``: a manifest -> the segmentation channels with even contrast, as OME-Zarr."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellsam_core.files.options import StoreOptions
from cellsam_core.options import add_options, from_arguments
from cellsam_core.preprocessing.options import PreprocessOptions
from cellsam_core.segmentation.options import ModelOptions

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("manifest", help="0_manifest.json of the sample")
    add_options(parser, PreprocessOptions)
    add_options(parser, ModelOptions, without={"device"})
    add_options(parser, StoreOptions)
    parser.add_argument("-o", "--output", required=True, help="frames.zarr to write")


def run(args: argparse.Namespace) -> None:
    from cellsam_core.preprocessing.stage import preprocess

    options = from_arguments(PreprocessOptions, args)
    store = from_arguments(StoreOptions, args)
    preprocess(
        args.manifest,
        args.output,
        options,
        weights=args.weights,
        preset=args.preset,
        ome_zarr=store.ome_zarr,
    )
