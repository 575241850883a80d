"""Check of a sample's options against its data, before anything that takes long."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cellsam_core.config.schema import SECTIONS, check_settings
from cellsam_core.errors import InputError
from cellsam_core.options import json_schema
from cellsam_core.traces.check import check_against
from cellsam_core.traces.options import TraceOptions

if TYPE_CHECKING:
    from cellsam_core.samples.manifest import Manifest


def check_sample(manifest: Manifest, settings: dict[str, dict[str, Any]]) -> None:
    """Refuse options that contradict each other or the data of a sample.

    The channels to segment are tested by `preprocess`, which comes next, and by
    :func:`cellsam_core.check`.

    Parameters
    ----------
    manifest
        The sample, as `inspect` found it.
    settings
        Section of the config to its keys and values, for this sample.

    Raises
    ------
    InputError
        The message names the option.
    """
    if unknown := [name for name in settings if name not in SECTIONS]:
        raise InputError(
            "option `config_json`",
            found=f"the section {unknown[0]!r}",
            expected=f"sections of {', '.join(SECTIONS)}",
            remedy="give the options of one sample, as the workflow does",
        )
    check_settings(settings)
    if manifest.assay == "movie" and "traces" in settings:
        keys = json_schema(TraceOptions)
        given = {key: value for key, value in settings["traces"].items() if key in keys}
        options = TraceOptions(**given)
        check_against(options, manifest.channels, manifest.n_frames)
        if options.ratio is not None and options.baseline_frames > manifest.n_frames:
            raise InputError(
                "option `baseline_frames`",
                found=str(options.baseline_frames),
                expected=f"at most the {manifest.n_frames} frame(s) of the movie",
                remedy="lower it",
            )


def parse_config(text: str) -> dict[str, Any]:
    """Parse the text of ``--config-json``.

    Raises
    ------
    InputError
        The text is no JSON object.
    """
    try:
        config = json.loads(text)
    except json.JSONDecodeError as error:
        config = error
    if not isinstance(config, dict):
        raise InputError(
            "--config-json",
            found=repr(text[:80]),
            expected="a JSON object",
            remedy="pass the configuration as one quoted JSON string",
        )
    return config
