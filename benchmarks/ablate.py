"""Train in variants, each with one thing changed, and score what comes out.

    python benchmarks/ablate.py MANIFEST GROUP --data DATA -o OUT

GROUP is one of

* ``ingredients``: the training from nothing, without one of its ingredients at a time;
* ``encoders``: the release before goes on with its own encoder, with one begun anew, with more
  attention, or with EfficientNet-Lite0 of ImageNet (``--lite0 FILE``, see ``lite0.py``);
* ``domains``: the release before goes on without one kind of images at a time.

Runs are short (600 steps where the shipped weights took 54,000), so that a group fits in an hour or
two of one CPU core: the differences count, not the scores. Prints F1 at an IoU of 0.5, mean over
the images of each set (each third one of large sets), with the true cell diameter. A killed run
goes on where it stopped, and a variant that is done is not trained again.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import torch
from lite0 import pretrained
from torch import nn

from cellsam_core.benchmark.images import Entry, manifest_entries
from cellsam_core.benchmark.methods import cellsam
from cellsam_core.benchmark.score import ALL_SETS, run_methods, summary_table
from cellsam_core.segmentation.tiny.encoder import AttentionBlock, ImageEncoder
from cellsam_core.segmentation.tiny.model import CellSAM, fold_batch_norm
from cellsam_core.segmentation.tiny.predict import Segmenter
from cellsam_core.segmentation.weights import load_trainable
from cellsam_core.training import crops
from cellsam_core.training.labelled import LabelledImage, load_manifest
from cellsam_core.training.loop import train
from cellsam_core.training.plan import TrainingPlan

BEFORE = "tiny_f92dcf9d"
"""Weights that the groups `encoders` and `domains` go on from."""

MORE_ATTENTION = 4
"""Blocks that the larger encoder has more than that of today."""

Build = Callable[[argparse.Namespace], CellSAM]


def from_nothing(_: argparse.Namespace) -> CellSAM:
    """Begin with random weights."""
    return CellSAM()


def before(_: argparse.Namespace) -> CellSAM:
    """Go on with the weights of the release before."""
    return load_trainable(BEFORE)


def fresh(_: argparse.Namespace) -> CellSAM:
    """Begin the encoder anew, as that which the pretrained one is compared with."""
    model = load_trainable(BEFORE)
    model.encoder = ImageEncoder()
    return model


def lite0(args: argparse.Namespace) -> CellSAM:
    """Take an encoder that was trained on photographs."""
    if args.lite0 is None:
        raise SystemExit("the variant lite0 needs --lite0 FILE, see lite0.py")
    model = load_trainable(BEFORE)
    model.encoder = pretrained(args.lite0)  # type: ignore[assignment]
    return model


def larger(_: argparse.Namespace) -> CellSAM:
    """Add attention blocks that change nothing before they have learnt."""
    model = load_trainable(BEFORE)
    for _n in range(MORE_ATTENTION):
        block = AttentionBlock(256)
        for last in (block.position, block.projection, block.mlp[-1]):
            nn.init.zeros_(last.weight)  # type: ignore[arg-type]
            nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        model.encoder.stage16.append(block)
    return model


@dataclass(frozen=True)
class Variant:
    """What is changed.

    Attributes
    ----------
    build
        Makes the model to begin from.
    plan
        Fields of the plan.
    keep
        Real images that are trained on.
    without_style
        Style of simulated crops that is left out; the others take its share.
    """

    build: Build = before
    plan: dict[str, float] = field(default_factory=dict)
    keep: Callable[[LabelledImage], bool] = lambda _: True
    without_style: str = ""


def without_sets(*names: str) -> Variant:
    """Leave out real sets."""
    return Variant(keep=lambda image: image.set_name not in names)


GROUPS: dict[str, dict[str, Variant]] = {
    "ingredients": {
        "base": Variant(from_nothing),
        "no_simulator": Variant(from_nothing, {"simulated_share": 0.0}),
        "one_to_one": Variant(from_nothing, {"n_candidates": 1}),
        "no_stage2": Variant(from_nothing, {"stage2_share": 0.0}),
    },
    "encoders": {
        "today": Variant(),
        "lite0": Variant(lite0),
        "fresh": Variant(fresh),
        "larger": Variant(larger),
    },
    "domains": {
        "today": Variant(),
        "no_phase": without_sets("usiigaci_phase", "c2c12_phase_laptrack"),
        "no_adherent": Variant(without_style="adherent"),
        "no_tissue": without_sets("hubmap_codex_expert", "lung_vectra_inform_machine"),
        "no_multiplex": Variant(without_style="multiplex"),
        "no_histology": Variant(keep=lambda image: image.modality != "histology"),
        "no_stained": Variant(without_style="stained"),
        "no_simulator": Variant(plan={"simulated_share": 0.0}),
    },
}


def leave_out(style: str) -> None:
    """Give the share of a style to the others, in this process and those that it starts."""
    rest = {name: share for name, share in crops.STYLE_SHARES.items() if name != style}
    total = sum(rest.values())
    crops.STYLE_SHARES.update({name: share / total for name, share in rest.items()})
    crops.STYLE_SHARES[style] = 0.0


def trained(variant: Variant, images: Sequence[LabelledImage], args: argparse.Namespace) -> CellSAM:
    """Train a variant, or what is left of it, and return the averaged model for inference."""
    torch.manual_seed(0)
    model = variant.build(args)
    shares = dict(crops.STYLE_SHARES)
    if variant.without_style:
        leave_out(variant.without_style)
    plan = TrainingPlan(n_steps=args.steps, **variant.plan)  # type: ignore[arg-type]
    kept = [image for image in images if variant.keep(image)]
    average = train(kept, plan, args.folder, start=model)
    crops.STYLE_SHARES.update(shares)
    model.load_state_dict(average)
    fold_batch_norm(model.eval())
    return model


def scores(model: CellSAM, entries: Sequence[Entry]) -> pd.DataFrame:
    """Score a model: one row a set."""
    method = cellsam(Segmenter(model, "cpu"), tile_px=512, min_area_px=25)
    table = summary_table(run_methods(entries, {"cellsam": method}, "truth"))
    return table[table["set"] != ALL_SETS].set_index(["split", "modality", "set"])


def thinned(entries: Sequence[Entry]) -> list[Entry]:
    """Keep each third image of a set with more than fifty."""
    by_set: dict[tuple[str, str, str], list[Entry]] = {}
    for entry in entries:
        by_set.setdefault((entry.set_name, entry.modality, entry.split), []).append(entry)
    return [e for group in by_set.values() for e in (group[::3] if len(group) > 50 else group)]


def main() -> None:
    """Train and score what is not done yet, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("group", choices=list(GROUPS))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--lite0", type=Path, help="weights of EfficientNet-Lite0")
    parser.add_argument("--variants", default="", help="only these, comma separated")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    wanted = args.variants.split(",") if args.variants else list(GROUPS[args.group])
    images = load_manifest(args.manifest, args.data, "train")
    entries = thinned(manifest_entries(args.manifest, args.data, ["validation", "test"]))
    shown = {}
    for name in wanted:
        args.folder = args.output / name
        args.folder.mkdir(parents=True, exist_ok=True)
        file = args.folder / "scores.tsv"
        if not file.exists():
            begin = time.process_time()
            model = trained(GROUPS[args.group][name], images, args)
            seconds = (time.process_time() - begin) / args.steps
            n = sum(p.numel() for p in model.encoder.parameters()) / 1e6
            logging.info("%s: encoder of %.1f M, %.2f CPU s a step", name, n, seconds)
            scores(model, entries).to_csv(file, sep="\t", float_format="%.4f")
        shown[name] = pd.read_csv(file, sep="\t", index_col=[0, 1, 2])
    table = pd.DataFrame({name: scored["f1_50"] for name, scored in shown.items()})
    table.loc[("", "", "seconds an image"), :] = {
        name: scored["seconds_per_image"].mean() for name, scored in shown.items()
    }
    print(table.round(3).to_string())


if __name__ == "__main__":
    main()
