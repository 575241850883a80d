"""Options of reading a sample, and the columns of the sample sheet."""

from __future__ import annotations

from typing import Literal

from cellsam_core.options import Options, option, options

Assay = Literal["movie", "merfish", "seqfish"]
Format = Literal[
    "auto",
    "tiff_series",
    "ctc",
    "channel_folders",
    "channel_files",
    "image",
    "tiff_stack",
    "ome_tiff",
    "merscope",
    "xenium",
    "cosmx",
    "spatial_genomics",
    "resolve",
    "generic",
    "merlin",
    "rounds",
]


@options
class SampleOptions(Options):
    """Columns that every row of the sample sheet needs."""

    sample: str = option(
        text="Unique name; letters, digits, dot, dash and underscore. Names the folder of results.",
        pattern="^[A-Za-z0-9][A-Za-z0-9._-]*$",
    )
    assay: Assay = option(text="What was measured.")
    path: str = option(
        text="Folder or file with the raw data, without braces in its name; a relative path starts"
        " at the sample sheet.",
        pattern="^[^{}]*$",
    )


@options
class InspectOptions(Options):
    """Options of reading a folder, each also a column of the sample sheet."""

    format: Format = option("auto", "Layout of the files; auto, or nothing, finds out.")
    pixel_size_um: float | None = option(
        None, "Side of a pixel in micrometres, wins over what the files say.", above=0
    )
    frame_interval_s: float | None = option(
        None, "Seconds between frames, wins over what the files say.", above=0
    )
    channels: str | tuple[str, ...] | None = option(
        None, "Names of the channels to use, in this order, separated by commas."
    )
    fov: str | None = option(
        None,
        "Transcripts - region (Spatial Genomics, Resolve) to use, where a folder holds several, one"
        " row for each; or the number of the only field of view (CosMx) to use, all where it is"
        " empty.",
    )
    z_plane: int | None = option(
        None,
        "Transcripts - z plane to segment cells on; 3 (MERSCOPE) or the middle one where it is"
        " empty.",
        minimum=0,
    )
    z_policy: Literal["all", "max", "one"] | None = option(
        None,
        "Transcripts - all (default), cells of one z plane own the transcripts of all planes; max,"
        " cells of the maximum projection do; one, only transcripts of z_plane are used.",
    )


@options
class SheetOptions(Options):
    """Further columns of the sample sheet."""

    condition: str | None = option(
        None,
        "Any label of yours, such as the drug; shown in the report. Movies with a ratio are"
        " averaged by it.",
        pattern="^[^=]*$",
    )
    corrections: str | None = option(
        None,
        "Movies - table of what the tracking got wrong, see docs/corrections.md; a relative path"
        " starts at the sample sheet.",
        pattern="^[^{}]*$",
    )
    tiles_per_batch: int | None = option(None, "As in the config, for this sample.", minimum=1)
