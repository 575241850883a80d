"""Options of the page."""

from __future__ import annotations

from cellsam_core.options import Options, option, options
from cellsam_core.training.options import FinetuneOptions


@options
class ViewOptions(Options):
    """Options of the page that shows results."""

    port: int = option(
        0, "Port on this computer; 0 lets the system choose a free one.", minimum=0, maximum=65535
    )
    read_only: bool = option(False, "Only look: no table of corrections is written.")
    weights: str | None = option(
        None, "Weights that draw cells in boxes; without it, those that made the masks."
    )
    no_model: bool = option(False, "Load no model: cells are drawn by hand only.")
    run_command: str | None = option(
        None,
        "Command that the page may start to make the results anew, such as `snakemake --cores 2`;"
        " it also allows fine-tuning. Without it, the page starts no command.",
    )
    finetune_steps: int = option(
        FinetuneOptions.steps, "Optimiser steps of fine-tuning from the page.", minimum=1
    )
