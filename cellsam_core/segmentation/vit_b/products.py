"""Attention as products of matrices, where torch's own kernel is slower than these.

The kernel is made for processors with matrix units. In bfloat16 it takes four times as long on
those that have none but multiply bfloat16 vectors.
"""

from __future__ import annotations

import torch
from torch import Tensor

LOGITS_ON_CPU, LOGITS_ELSEWHERE = 2**20, 2**24
"""Logits that are held: 4 MB stay in the cache of a processor; a GPU wants more at once."""


def are_faster(x: Tensor) -> bool:
    """Tell whether :func:`attend` is faster than torch's kernel, for tokens like `x`."""
    if x.dtype != torch.bfloat16 or x.device.type != "cpu":
        return False
    return not torch.cpu.get_capabilities().get("amx_bf16", False)


def attend(q: Tensor, k: Tensor, v: Tensor, places: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """Attend with logits and weights in float32.

    Parameters
    ----------
    q, k, v
        Queries, keys and values ``(n, tokens, width)`` of `n` heads.
    places
        What each query adds to the logits of every row and of every column of keys, both
        ``(n, tokens, side)`` for ``side * side`` tokens; None adds nothing.

    Returns
    -------
    Tensor
        ``(n, tokens, width)`` in the type of `v`.
    """
    n, tokens = q.shape[:2]
    at_once = LOGITS_ON_CPU if q.device.type == "cpu" else LOGITS_ELSEWHERE
    heads_at_once = max(1, at_once // tokens**2)
    queries_at_once = min(tokens, at_once // tokens)
    scaled, out = q * q.shape[-1] ** -0.5, torch.empty_like(v)
    for one in range(0, n, heads_at_once):
        heads = slice(one, one + heads_at_once)
        keys, values = k[heads].mT.contiguous(), v[heads].contiguous()
        for first in range(0, tokens, queries_at_once):
            part = heads, slice(first, first + queries_at_once)
            logits = (scaled[part] @ keys).float()
            if places is not None:
                by_row, by_column = places
                side = by_row.shape[-1]
                by_place = logits.view(*logits.shape[:2], side, side)
                by_place += by_row[part][..., None]
                by_place += by_column[part][..., None, :]
            out[part] = logits.softmax(-1).to(v.dtype) @ values
    return out
