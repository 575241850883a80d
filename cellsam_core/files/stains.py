"""Words by which image names tell a channel."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_STAINS = (
    # Nuclei and membranes
    "dapi|hoechst|h2[ab]|h3[34]?|histone|nuc(lei|leus|lear)?|nls|draq|sytox?|sir|spy|pi|7aad",
    "memb(rane)?|cell(mask|tracker)?|cyto(plasm|sol)?|wga|cona|actin|phalloidin|lifeact|utrophin",
    "tubulin|poly.?t|mito(tracker)?|lyso(tracker)?|golgi|er.?tracker|lamin|pcna|zo.?1|cadherin",
    # Transmitted light
    "ph|phc|phase|bf|bright.?field|bright|dic|hoffman|trans(mitted|mission)?|tl|tld|td|tpmt|dia",
    "oblique|reflection|vis|white",
    # Fluorescent proteins and dyes
    r"e?[gcybr]fps?|[a-z]{0,3}[gcybr]fp\d*|irfp\d*|m?cherry|m?scarlet|m?ruby|tomato|tdtomato|m?kate",
    "m?venus|ypet|m?citrine|m?turquoise|cerulean|cypet|m?plum|m?orange|ko|m?apple|dsred|neongreen",
    "mng|m?neon|m?maple|m?eos|dendra|clover|emerald|aquamarine|sapphire|azurite|halo|snap|clip",
    "jf|fitc|tritc|rhod(amine)?|texas.?red|tx.?red|txrd|bodipy|cy|alexa|alx|af|atto|dylight|edu|brdu",
    "fura|fluo|indo|calcein|gcamp|rcamp|jrgeco|fluor(escence)?",
    # Colours
    "red|green|blue|cyan|yellow|magenta|orange|violet|purple|far.?red|nir|uv|gr[ae]y|rgb",
    # Reporters
    "ktr|erk|akt|jnk|p38|nfkb|nf.?kb|rela|p65|p53|p21|smad|yap|fret|donor|acceptor|[a-z]*ekar",
    "[a-z]*akar|ampkar|exrai|camp|epac|fucci|geminin|cdt1|cdk2|dhb|sensor|reporter|ratio",
    "ch|chan|channel|wv|wavelength|filter|laser|ex|em",
)
_STAIN = re.compile(
    rf"(?<![^\W\d_])(m|e|mem|cell|sf|super|iq)?({'|'.join(_STAINS)})(?![^\W\d_])", re.I
)
_NEGATED = re.compile(r"(?<![^\W\d_])(no|non|not|without|minus|lacking)[\W_]+(?=[a-z])", re.I)
"""Words before a stain that is not there: ``no-nuclei`` is a condition; ``no 1`` is a number."""
_NO_NAMES = re.compile(
    # What all images of a folder may be called without being of one stain: kinds of filters and
    # sensors, marks of time, and cells or genes, which more often name a line or a condition.
    r"ch|chan|channel|wv|wavelength|filter|laser|ex|em|tl|td|dia|vis|ratio|sensor|reporter|rgb|cell"
    r"|erk|akt|jnk|ko|pi|p21|p38|p53|p65|yap|smad|rela",
    re.IGNORECASE,
)
_CHANNEL_KEY = re.compile(r"(c|ch|w|wv)\d+-?(?=[A-Za-z])", re.IGNORECASE)
WORDS = re.compile(r"[a-z]+|[A-Z]+(?![a-z])|[A-Z][a-z]+")
"""Words of a text in which capital letters begin them: ``ctrl`` and ``GFP`` in ``ctrlGFP``."""


def is_stain(text: str) -> bool:
    """Tell whether a piece of a name is, or holds, the name of a stain, colour or kind of light."""
    texts = text, " ".join(WORDS.findall(text))
    return any(map(_STAIN.search, texts)) and not any(map(_NEGATED.search, texts))


def stain_of(names: Sequence[str]) -> str | None:
    """Return the one stain that all names of images tell; None if they tell none, or several.

    Parameters
    ----------
    names
        Paths of images below the folder of a movie, without suffix.

    Examples
    --------
    >>> stain_of(["img_000_DAPI_000", "img_001_DAPI_000"])
    'DAPI'
    >>> stain_of(["exp_w1H2B-mCherry_t1", "exp_w1H2B-mCherry_t2"])
    'H2B-mCherry'
    >>> stain_of(["DAPI_GFP"]), stain_of(["clone3_t1"])
    (None, None)
    """
    pieces = [[p for part in re.split(r"[/_\s]+", name) for p in _cut(part)] for name in names]
    others = [set(own) for own in pieces[1:]]
    found = {
        piece.lower(): piece
        for piece in pieces[0]
        if _is_name_of_stain(piece) and all(piece in own for own in others)
    }
    return next(iter(found.values())) if len(found) == 1 else None


def _cut(part: str) -> list[str]:
    """Cut a part of a name at its hyphens, but for ``H2B-mCherry``, all of which is a stain."""
    part = _CHANNEL_KEY.sub("", part, count=1) if _CHANNEL_KEY.match(part) else part
    return [part] if _is_name_of_stain(part) else re.split(r"[-.]", part)


def _is_name_of_stain(piece: str) -> bool:
    """Tell whether a piece is the name of a stain as a whole, with its digits or without."""
    forms = [(word, word.rstrip("0123456789")) for word in piece.split("-")]
    return all(
        any(map(_STAIN.fullmatch, each)) and not any(map(_NO_NAMES.fullmatch, each))
        for each in forms
    )
