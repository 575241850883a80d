"""Check of the options of traces against the channels and frames of a movie."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellsam_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cellsam_core.traces.options import TraceOptions


def check_against(options: TraceOptions, channels: Sequence[str], n_frames: int) -> None:
    """Refuse options that the channels or frames of a movie contradict.

    Parameters
    ----------
    options
        Options of traces.
    channels
        Names of the movie's channels.
    n_frames
        Number of the movie's frames.

    Raises
    ------
    InputError
        The ratio names a channel that does not exist, or the drug is given after the last frame.

    Examples
    --------
    >>> from cellsam_core import TraceOptions
    >>> check_against(TraceOptions(ratio="CFP/YFP", drug_frame=20), ["CFP", "YFP"], 60)
    >>> check_against(TraceOptions(ratio="CFP/GFP"), ["CFP", "YFP"], 60)
    Traceback (most recent call last):
    cellsam_core.errors.InputError: option `ratio`: found 'CFP/GFP', ...
    """
    channel_pair(options, channels)
    frame = options.drug_frame
    if frame is not None and frame >= n_frames:
        raise InputError(
            "option `drug_frame`",
            found=str(frame),
            expected=f"at most {n_frames - 1}, the last of {n_frames} frame(s) counted from 0",
            remedy="correct it, or leave it out if no drug was given",
        )


def channel_pair(options: TraceOptions, channels: Sequence[str]) -> tuple[str, str] | None:
    """Return the channels of the ratio's numerator and denominator.

    Parameters
    ----------
    options
        Options of traces.
    channels
        Names of the movie's channels.

    Returns
    -------
    tuple of str or None
        Two names, for a KTR the same name twice; None without a ratio.

    Raises
    ------
    InputError
        A channel does not exist.
    """
    if options.ratio is None:
        return None
    if options.reporter == "ktr":
        return _ktr_pair(options.ratio, channels)
    if isinstance(options.ratio, str):
        return parse_ratio(options.ratio, channels)
    if len(options.ratio) != 2 or not set(options.ratio) <= set(channels):
        raise _no_pair(options.ratio, channels)
    return options.ratio


def parse_ratio(text: str, channels: Sequence[str]) -> tuple[str, str]:
    """Split ``NUM/DEN`` at the slash that leaves two channel names; names may contain slashes.

    Parameters
    ----------
    text
        Two names of channels, separated by a slash.
    channels
        Names of the movie's channels.

    Raises
    ------
    InputError
        No slash separates two channel names.

    Examples
    --------
    >>> parse_ratio("CFP/YFP FRET / CFP", ["CFP", "CFP/YFP FRET"])
    ('CFP/YFP FRET', 'CFP')
    """
    parts = text.split("/")
    for i in range(1, len(parts)):
        pair = ("/".join(parts[:i]).strip(), "/".join(parts[i:]).strip())
        if pair[0] in channels and pair[1] in channels:
            return pair
    raise _no_pair(text, channels)


def _ktr_pair(ratio: str | tuple[str, str], channels: Sequence[str]) -> tuple[str, str]:
    """Return the only channel of a kinase translocation reporter twice."""
    names = {ratio} if isinstance(ratio, str) else set(ratio)
    name = next(iter(names))
    if len(names) > 1 or name not in channels:
        raise InputError(
            "option `ratio`",
            found=repr(ratio),
            expected=f"the reporter's channel, one of {', '.join(channels)}",
            remedy="name the channel as the manifest does",
        )
    return name, name


def _no_pair(ratio: object, channels: Sequence[str]) -> InputError:
    return InputError(
        "option `ratio`",
        found=repr(ratio),
        expected=f"NUM/DEN with two of the channels {', '.join(channels)}",
        remedy="name the channels as the manifest does",
    )
