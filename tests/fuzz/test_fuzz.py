"""A few damaged inputs of most kinds; `python tests/fuzz` runs hundreds, see docs/faults.md."""

from __future__ import annotations

from random import Random

import pytest
from judge import FAILED, Judge
from kinds import KINDS

# Those that load a model or Snakemake take longer: the whole run has them.
QUICK = [kind for kind in KINDS if not {"weights", "boxes", "config"} & {kind.name}]
QUICK = [kind for kind in QUICK if "sheet" not in kind.name and "images" not in kind.name]


@pytest.mark.parametrize("kind", QUICK, ids=lambda kind: kind.name)
def test_damage_is_refused_or_read_as_it_stands(kind, tmp_path):
    judge = Judge(kind, tmp_path)
    for number in range(2):
        verdict, what, outcome = judge.judge(Random(f"suite {number}"))
        assert verdict != FAILED, f"{what}\n{outcome.text}"
