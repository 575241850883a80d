"""Words by which image names tell a channel."""

from __future__ import annotations

import re

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
_PARTS = re.compile(r"[a-z]+|[A-Z]+(?![a-z])|[A-Z][a-z]+")


def is_stain(text: str) -> bool:
    """Tell whether a piece of a name is, or holds, the name of a stain, colour or kind of light."""
    texts = text, " ".join(_PARTS.findall(text))
    return any(map(_STAIN.search, texts)) and not any(map(_NEGATED.search, texts))
