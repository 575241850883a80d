"""File that describes a sample."""

from __future__ import annotations

from cellsam_core.outputs import Column, Output

NONE = "null if there are none"
UNKNOWN = "null if neither the files nor the sample sheet say it"
OUTPUTS = (
    Output(
        "0_manifest.json",
        "any sample",
        "What was found in the folder of the sample. `inspect` writes it, every stage reads it.",
        (
            Column("schema_version", "int", "Version of the output files"),
            Column("sample", "text", "Name of the sample"),
            Column("assay", "text", "movie, merfish or seqfish"),
            Column("format", "text", "Reader that fitted"),
            Column("channels", "list", "Names of the channels, in the order of the files"),
            Column("n_frames", "int", "Number of frames"),
            Column("shape_yx", "list", "Height and width", "px"),
            Column("dtype", "text", "Type of the pixels"),
            Column("pixel_size_um", "float", "Side of a pixel", "um", UNKNOWN),
            Column("frame_interval_s", "float", "Time between frames", "s", UNKNOWN),
            Column("planes", "list", "File and page of each frame (or field) and channel"),
            Column(
                "transcripts",
                "object",
                "Table of the transcripts and its columns. `um_to_px` is the transform from the"
                " frame `slide` in um to pixels, row by row",
                missing="null for a movie",
            ),
            Column("boundaries", "text", "Outlines of the vendor", missing=NONE),
            Column("labels", "text", "Labels of the vendor", missing=NONE),
            Column("warnings", "list", "Sentences for the report"),
            Column(
                "frame_times_s",
                "list",
                "Time of each frame since the first",
                "s",
                "null if only the interval is known, or nothing",
            ),
            Column(
                "saturation_values",
                "list",
                "Grey value from which a pixel of each channel is saturated",
                "grey values",
                "null for the largest value of the pixel type",
            ),
            Column(
                "sources",
                "object",
                "Sources of pixel_size_um and frame_interval_s, such as the sample sheet",
            ),
            Column("<more>", "any", "Other facts that a reader keeps", when="a reader keeps them"),
        ),
    ),
)
