"""Stains that were segmented, and who chose them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import zarr

from cellsam_core.preprocessing.channels import RGB, guess_roles, is_fused, name_stains

if TYPE_CHECKING:
    from cellsam_core.reporting.results import Results

KINDS = {"nuclear": "nuclear stain", "cell": "cell stain"}
"""Words for the roles of channels."""


def preprocessing_record(results: Results) -> dict[str, Any]:
    """Return what ``frames.zarr`` records of its making; empty if it records nothing."""
    image = results.image()
    if image is None:
        return {}
    recorded: Any = zarr.open_group(str(image.path), mode="r").attrs.get("cellsam", {})
    return dict(recorded)


def stain_words(results: Results) -> str:
    """Name the channels that were segmented, their use, and who chose them.

    For example: ``H2B as nuclear stain, chosen by its name``.
    """
    record = preprocessing_record(results)
    channels: dict[str, list[str]] = record.get("channels", {})
    if not channels:
        image = results.image()
        names = () if image is None else image.channels
        return f"{' and '.join(names)} (the raw channel is not recorded)" if names else "not known"
    used = " and ".join(
        f"{name_stains(names)} as {KINDS[role]}{' (fused)' if is_fused(names) else ''}"
        for role, names in channels.items()
    )
    kit = results.manifest.kit
    if not record.get("guessed"):
        named = f"{used}, named in the configuration or sample sheet"
        if (kit or guess_roles(results.manifest.channels)) != channels:
            return named
        # `init` writes its guess into the sheet, which then looks like the user's own choice.
        return f"{named} (`cellsam-core init` guesses the same from the names of the channels)"
    if kit == channels:
        return f"{used}, recognised as a kit by the names of the channels"
    if len(results.manifest.channels) == 1:
        return f"{used}, the only channel"
    if RGB in channels.values():
        return f"{used}, as in all images with colours"
    return f"{used}, guessed from the names of the channels"
