"""Quality of decoding, as `decode` wrote it, for the report and the verdict."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cellsam_core.decoding.spot_size import words_of_size
from cellsam_core.files.tables import table_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

FEW_SPOTS = 200
"""Fewest spots of which the share that are words is judged."""
MORE_THAN_CHANCE = 2.0
MOST_AT_LOWEST = 0.2
"""Share of pixels with the lowest value of their image that no camera leaves."""


@contextmanager
def decoding_quality(results: Path) -> Iterator[dict[str, Any] | None]:
    """Read ``decode_qc.json`` of a sample; None if its transcripts were decoded elsewhere.

    Parameters
    ----------
    results
        Folder of the results of the sample.

    Raises
    ------
    InputError
        The file is damaged, or something is missing that is looked for in the context.
    """
    path = results / "0_decoded/decode_qc.json"
    if not path.is_file():
        yield None
        return
    with table_errors(path):
        yield dict(json.loads(path.read_text(encoding="utf-8")))


def doubts(seen: dict[str, Any]) -> list[str]:
    """Write what the images of the rounds make doubtful, for the log and the report.

    Parameters
    ----------
    seen
        Entries of ``decode_qc.json``; those that it lacks are not judged.

    Examples
    --------
    >>> doubts({"dark_bits": [], "share_at_lowest": 0.001})
    []
    """
    told = []
    if dark := seen.get("dark_bits"):
        told.append(words_of_dark_bits(dark))
    if spots := seen.get("word_spots"):
        told.append(words_of_chance(spots))
    told.append(words_of_background(seen.get("share_at_lowest", 0.0)))
    if size := seen.get("spot_sigma_px"):
        told.append(words_of_size(size["measured"], size["searched"]))
    return [said for said in told if said]


def words_of_chance(spots: dict[str, Any]) -> str:
    """Write that spots are words hardly more often than by chance; empty if they are not.

    Parameters
    ----------
    spots
        Entry ``word_spots`` of ``decode_qc.json``.

    Examples
    --------
    >>> words_of_chance({"n_bits": 4, "n_spots": 900, "n_words": 850, "share_by_chance": 0.04})
    ''
    """
    n_spots, n_words, chance = spots["n_spots"], spots["n_words"], spots["share_by_chance"]
    if n_spots < FEW_SPOTS or n_words >= MORE_THAN_CHANCE * chance * n_spots:
        return ""
    return (
        f"Of {n_spots} spots with {spots['n_bits']} lit bits, {n_words / n_spots:.1%} are words of"
        f" genes, and {chance:.1%} would be by chance: the codebook, or the table of the rounds, is"
        " not that of these images."
    )


def words_of_background(share_at_lowest: float) -> str:
    """Write that the background was taken off the images; empty if it was not.

    Examples
    --------
    >>> words_of_background(0.001)
    ''
    """
    if share_at_lowest <= MOST_AT_LOWEST:
        return ""
    return (
        f"{share_at_lowest:.0%} of the pixels of the bits have the lowest value of their image: the"
        " background was taken off, or the values were rounded. Weak molecules are lost. Give the"
        " images as the camera wrote them."
    )


def words_of_dark_bits(names: Sequence[str]) -> str:
    """Write which bits are dark, and what that may mean.

    Examples
    --------
    >>> words_of_dark_bits(["bit7"])[:52]
    'Hardly any light is in bit7, compared with other bit'
    """
    return (
        f"Hardly any light is in {', '.join(names)}, compared with other bits: the round may have"
        " failed, its image may be that of another channel, or the bit's genes may be absent."
        " Molecules that should light it are lost, or called with one bit less."
    )
