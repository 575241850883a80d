"""Limits of numeric options, the same sentence for all."""

from __future__ import annotations

import math

from cellsam_core.errors import InputError

MAX_SEED = 2**32 - 1


def refuse_outside(where: str, value: float, low: float, high: float = math.inf) -> None:
    """Refuse a number that is not from `low` to `high`, ends included.

    Raises
    ------
    InputError
        It begins with `where`, the option.
    """
    if low <= value <= high and math.isfinite(value):
        return
    raise InputError(
        where,
        found=str(value),
        expected=f"at least {low}" if high == math.inf else f"a number from {low} to {high}",
        remedy="correct it",
    )
