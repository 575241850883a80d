"""File of the preprocessing."""

from __future__ import annotations

from cellsam_core.outputs import Output

OUTPUTS = (
    Output(
        "1_preprocessed/frames.zarr",
        "any sample",
        "Channels as the model sees them, as an OME-Zarr image: contrast is changed, so that grey"
        " values are no intensities. The attribute `cellsam_core_sample` has the name of the sample"
        " and, for a tissue, `slide_um_to_px`: the transform from um on the slide to pixels.",
    ),
)
