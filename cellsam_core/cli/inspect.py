"""``inspect``: a sample's folder -> its manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from cellsam_core.options import add_options, from_arguments
from cellsam_core.samples.options import Assay, InspectOptions

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", help="folder or file of the sample")
    parser.add_argument("--sample", required=True, help="name of the sample")
    parser.add_argument(
        "--assay", required=True, choices=get_args(Assay), help="kind of experiment"
    )
    parser.add_argument(
        "--format",
        default=InspectOptions.format,
        help="layout of the files, see config/README.md; auto finds out",
    )
    add_options(parser, InspectOptions, without={"format"})
    parser.add_argument(
        "--config-json",
        metavar="JSON",
        help="options of the sample, section of the config to its keys and values, to be checked"
        " against the data (the workflow gives them)",
    )
    parser.add_argument("-o", "--output", required=True, help="manifest to write (json)")


def run(args: argparse.Namespace) -> None:
    from cellsam_core.samples.stage import inspect, summary

    options = from_arguments(InspectOptions, args)
    manifest = inspect(args.path, assay=args.assay, sample=args.sample, options=options)
    if args.config_json is not None:
        from cellsam_core.config.check import check_sample, parse_config

        settings = parse_config(args.config_json)
        settings.pop("sample", None)
        check_sample(manifest, settings)
    manifest.save(args.output)
    print(summary(manifest))
