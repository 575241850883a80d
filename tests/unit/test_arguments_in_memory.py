"""Arrays and tables as notebooks and other programs have them: taken as plain ones, or refused."""

from __future__ import annotations

import numpy as np
import pytest

import cellsam_core as cc
from cellsam_core.errors import InputError


def cells_and_nuclei() -> tuple[np.ndarray, np.ndarray]:
    """Two cells of 16 x 16 px, each with a nucleus."""
    cells, nuclei = np.zeros((2, 20, 40), np.int64)
    cells[2:18, 2:18], cells[2:18, 22:38] = 1, 2
    nuclei[6:12, 6:12], nuclei[6:12, 26:32] = 8, 9
    return cells, nuclei


@pytest.mark.parametrize("shift", [2**32, 2**33 - 1, -1])
def test_labels_that_32_bits_do_not_hold_are_not_paired(shift: int) -> None:
    cells, nuclei = cells_and_nuclei()
    with pytest.raises(InputError, match="expected labels from 0 to 4294967295"):
        cc.pair_nuclei(np.where(cells > 0, cells + shift * 2, 0), nuclei)
    with pytest.raises(InputError, match="`nuclei`.*expected labels from 0 to 4294967295"):
        cc.pair_nuclei(cells, np.where(nuclei > 0, nuclei + shift * 9, 0))


def test_a_mask_of_all_nuclei_is_not_paired() -> None:
    cells, nuclei = cells_and_nuclei()
    with pytest.raises(InputError, match="`nuclei`: found one number, 255, in 2 places"):
        cc.pair_nuclei(cells, np.where(nuclei > 0, np.uint8(255), np.uint8(0)))
