"""Options of decoding raw rounds."""

from __future__ import annotations

from dataclasses import fields

from cellsam_core.errors import InputError
from cellsam_core.options import Options, option, options


@options
class DecodeOptions(Options):
    """Options of registering rounds and of detecting and decoding spots."""

    spot_sigma_px: float = option(
        1.3,
        "Standard deviation of the Gaussian image of a spot, in pixels. As a length it is"
        " about 0.21 x wavelength / numerical aperture.",
        above=0,
        maximum=20,
    )
    misidentification_rate: float = option(
        0.05,
        "Share of wrong transcripts that is allowed, 0 to 1. It is measured by the codebook's"
        " blanks.",
        above=0,
        maximum=1,
    )
    stage_error_px: float = option(
        10.0,
        "Largest error of a field's position along each axis, in pixels. Positions are refined by"
        " the molecules and beads that neighbouring fields both show. 0 keeps them as the stage"
        " says.",
        minimum=0,
        maximum=200,
    )
    spotiflow: str | None = option(
        None,
        "Folder of a trained spotiflow model, or name of a model that spotiflow downloads. The"
        " model then finds the spots. If it is not given, the Laplacian of Gaussian alone finds"
        " them. The package spotiflow must be installed (`envs/spotiflow.yaml`).",
    )
    spotiflow_probability: float | None = option(
        None,
        "Spots to which spotiflow gives a lower probability are dropped. If it is not given, the"
        " limit that was best when the model was trained is used.",
        above=0,
        maximum=1,
    )

    def check(self) -> None:
        """Refuse a probability where no model gives one."""
        if self.spotiflow_probability is not None and self.spotiflow is None:
            raise InputError(
                "option `spotiflow_probability`",
                found="the option without `spotiflow`",
                expected="a model whose spots have a probability",
                remedy="give the model as well, or leave the option out",
            )


OF_JOINING = frozenset({"misidentification_rate", "stage_error_px"})
"""Options that need all fields of a slide."""
OF_FIELDS = frozenset(item.name for item in fields(DecodeOptions)) - OF_JOINING
"""Options that are those of each field for itself."""
