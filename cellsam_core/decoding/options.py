"""Options of decoding raw rounds."""

from __future__ import annotations

from cellsam_core.errors import InputError
from cellsam_core.options import Options, option, options


@options
class DecodeOptions(Options):
    """Options of registering rounds and of detecting and decoding spots."""

    spot_sigma_px: float = option(
        1.3,
        "Standard deviation of a spot in pixels, about 0.21 wavelength / NA.",
        above=0,
        maximum=20,
    )
    misidentification_rate: float = option(
        0.05,
        "Share of wrong calls to allow, measured by the codebook's blanks.",
        above=0,
        maximum=1,
    )
    spotiflow: str | None = option(
        None,
        "Folder of a trained spotiflow model, or name of one that it downloads, to find spots with;"
        " null for the Laplacian of Gaussian alone. Needs the package spotiflow"
        " (`envs/spotiflow.yaml`).",
    )
    spotiflow_probability: float | None = option(
        None,
        "Spots that spotiflow holds for less likely are dropped; null for the limit that was found"
        " best when the model was trained.",
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
