"""Words by which names tell an experimental condition, such as ``ctrl`` and ``drug``."""

from __future__ import annotations

import re

from cellsam_core.files.stains import WORDS

_NAMES = (
    "control controls ctl ctr ctrl dmso pbs vehicle veh mock placebo unt untreated unstimulated",
    "drug drugs treat treated treatment stimulated starved inhibitor agonist antagonist",
    "wt wildtype mutant mut kd knockout knockdown rescue parental sirna shrna sgrna sictrl",
    "scramble scrambled transfected untransfected infected uninfected healthy disease diseased",
    "patient good bad sparse dense clumpy confluent overconfluent subconfluent",
)
CONDITIONS = frozenset(" ".join(_NAMES).split())
_LETTERS = re.compile(r"[^\W\d_]+")


def conditions_of(text: str) -> frozenset[str]:
    """Find the words of a name that are those of conditions, in small letters.

    Parameters
    ----------
    text
        Piece of a name, such as ``GFP ctrl``.

    Returns
    -------
    frozenset of str
        Empty if there are none. ``KO`` is not among them: it is also a fluorescent protein.

    Examples
    --------
    >>> sorted(conditions_of("GFP_Ctrl")), sorted(conditions_of("GFP low"))
    (['ctrl'], [])
    """
    words = {word.lower() for word in _LETTERS.findall(text) + WORDS.findall(text)}
    return frozenset(words) & CONDITIONS
