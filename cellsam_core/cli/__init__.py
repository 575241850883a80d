"""The command line: one module a command, heavy imports inside `run`.

Exit status: 0 done, 1 the data can't be used, 2 usage.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
from typing import TYPE_CHECKING

from cellsam_core.cli.groups import command_list
from cellsam_core.errors import InputError
from cellsam_core.version import __version__

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

COMMANDS = {
    "init": "write a sample sheet and a config from the folders of a microscope",
    "check": "check all samples and options together with the data",
    "preview": "segment a few crops of a sample and show them on a page",
    "completion": "print a script with which a shell completes commands and options",
    "inspect": "read a sample's folder and write its manifest",
    "decode": "turn raw rounds of MERFISH or seqFISH into stains and transcripts",
    "align-colours": "align the colours of raw rounds with each other (called by the workflow)",
    "decode-batch": "decode one batch of the fields of raw rounds (called by the workflow)",
    "join-fields": "join decoded fields to stains and transcripts (called by the workflow)",
    "preprocess": "clip, equalise (CLAHE) and write the segmentation channels",
    "segment": "segment images with CellSAM",
    "segment-batch": "segment one batch of a preprocessed sample (called by the workflow)",
    "stitch": "merge batches into one label image and a cell table (called by the workflow)",
    "import-masks": "take masks of your own instead of a segmentation",
    "collect": "write corrected regions as labelled images for finetune",
    "pair": "give nuclei the numbers of the cells in which they lie",
    "correct": "put a user's corrections of cells on the masks",
    "corrections": "turn tracks edited in another program into a table of corrections",
    "track": "link label images into tracks, divisions and lineages",
    "traces": "measure per-cell reporter traces",
    "summarise": "average reporter traces by condition, with a figure",
    "assign": "assign transcripts to cells and count genes",
    "compare-samples": "correlate the transcripts of each gene between samples, with a figure",
    "compare-vendor": "compare the cells of a tissue with the vendor's, with pictures",
    "spatialdata": "write the results of a tissue as SpatialData (optional package)",
    "view": "show results in the browser, on this computer",
    "export": "write the cells of a sample for QuPath, ImageJ, VPT or Xenium Ranger",
    "report": "write the HTML report and provenance of a sample",
    "overview": "list all samples with verdict or failure, as a table and a page",
    "evaluate": "score a segmentation or a tracking against ground truth",
    "benchmark": "compare segmentation methods on labelled images",
    "simulate": "write a synthetic experiment with ground truth",
    "split": "fill a manifest of labelled images: source, and training or validation",
    "train": "train the tiny CellSAM model",
    "finetune": "adapt weights to a few labelled images of your own",
    "weights": "list, describe and fetch weights",
}


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows defaults, but none of those that say nothing: of flags, and empty ones."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        says_nothing = action.nargs == 0 or action.default in (None, "", [], "{}")
        return action.help if says_nothing else super()._get_help_string(action)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; see ``cellsam-core --help``."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    # Only the chosen command's module is imported, so that `--help` stays instant.
    chosen = next((a for a in arguments if not a.startswith("-")), None)
    args = make_parser([chosen] if chosen in COMMANDS else []).parse_args(arguments)
    logging.basicConfig(
        level=logging.DEBUG if args.verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        datefmt="%H:%M:%S",
    )
    if args.verbose:
        for noisy in ("matplotlib", "PIL", "numcodecs", "asyncio"):
            logging.getLogger(noisy).setLevel(logging.INFO)
    try:
        args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of a pipe, such as `| head`, has read enough. Python would complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (InputError, OSError) as error:
        # An error of the system without a file has no remedy that we could name.
        if args.debug or not (isinstance(error, InputError) or error.filename):
            raise
        print(f"cellsam-core {args.command}: {_sentence(error)}", file=sys.stderr)
        return 1
    return 0


def make_parser(complete: Collection[str] = tuple(COMMANDS)) -> argparse.ArgumentParser:
    """Make the parser of the command line.

    Parameters
    ----------
    complete
        Commands that get their arguments, for which their modules are imported; all without it.
    """
    parser = argparse.ArgumentParser(
        prog="cellsam-core",
        usage="%(prog)s [--version] [--verbose] [--debug] COMMAND ...",
        description="From a microscope folder to published tables.",
        epilog=command_list(COMMANDS),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument("--verbose", action="store_true", help="log details, too")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    subparsers = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", prog="cellsam-core"
    )
    # The commands stand in groups below, and argparse would list them once more.
    subparsers.help = argparse.SUPPRESS
    for name, summary in COMMANDS.items():
        subparser = subparsers.add_parser(
            name,
            description=summary[0].upper() + summary[1:] + ".",
            formatter_class=_HelpFormatter,
        )
        subparser.add_argument(
            "--verbose", action="store_true", default=argparse.SUPPRESS, help="log details, too"
        )
        if name in complete:
            module = importlib.import_module(f"cellsam_core.cli.{name.replace('-', '_')}")
            module.add_arguments(subparser)
            subparser.set_defaults(run=module.run)
    return parser


def _sentence(error: InputError | OSError) -> str:
    """Say in one sentence what is wrong, also where the system refuses to read a file."""
    if isinstance(error, InputError):
        return str(error)
    return str(
        InputError(
            error.filename,
            found=error.strerror or type(error).__name__,
            expected="a file or folder that can be read",
            remedy="check its disk and its permissions, then run the command again",
        )
    )
