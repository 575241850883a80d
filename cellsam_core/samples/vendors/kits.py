"""Stain kits of vendors: which of their channels show nuclei, and which show cells."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# Names of Xenium's kit in the OME metadata: a mixture for borders, ribosomal RNA, a mixture of
# interior proteins. Bundles with proteins have images of single ones, too, such as vimentin.
XENIUM = {
    "nuclear": re.compile(r"\bDAPI\b", re.IGNORECASE),
    "cell": re.compile(
        r"ATP1A1\W+CD45|boundary|18S|SMA\W+vimentin|interior",
        re.IGNORECASE,
    ),
}
# Morphology markers of CosMx; a run has four of them, and DNA.
COSMX = {
    "nuclear": re.compile(r"\b(DNA|DAPI|histone)\b", re.IGNORECASE),
    "cell": re.compile(
        r"membrane|CD298|B2M|pan-?ck|cytokeratin|\bCK\d+|\bCD\d+|18S|rRNA|GFAP|(alpha|a|\u03b1)-?SMA"
        r"|vimentin",
        re.IGNORECASE,
    ),
}


def roles_in_kit(channels: Sequence[str], kit: dict[str, re.Pattern[str]]) -> dict[str, list[str]]:
    """Find the channels of each role by the names of a kit's stains.

    Parameters
    ----------
    channels
        Names of the channels of a sample.
    kit
        Pattern of the names for each role: `XENIUM` or `COSMX`.

    Returns
    -------
    dict
        ``nuclear`` and ``cell`` with their channels; empty if one of the roles has none.

    Examples
    --------
    >>> roles_in_kit(["DAPI", "ATP1A1/CD45/E-Cadherin", "18S", "AlphaSMA/Vimentin"], XENIUM)["cell"]
    ['ATP1A1/CD45/E-Cadherin', '18S', 'AlphaSMA/Vimentin']
    >>> roles_in_kit(["DAPI"], XENIUM)
    {}
    >>> roles_in_kit(["DAPI", "18S", "Blue background", "CD45RA", "Vimentin"], XENIUM)["cell"]
    ['18S']
    """
    nuclear = [name for name in channels if kit["nuclear"].search(name)]
    cell = [name for name in channels if name not in nuclear and kit["cell"].search(name)]
    return {"nuclear": nuclear, "cell": cell} if nuclear and cell else {}
