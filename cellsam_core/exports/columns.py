"""Files for other programs."""

from __future__ import annotations

from cellsam_core.outputs import Output

ASKED = "the config names the program"
OUTPUTS = (
    Output(
        "5_export",
        "any sample",
        "Cells for other programs, see docs/exports.md: `<sample>.geojson` (QuPath),"
        " `<sample>_rois.zip` (ImageJ), `vpt/`, `xenium_ranger/` and"
        " `xenium_explorer/`.",
        when=ASKED,
    ),
)
