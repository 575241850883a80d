"""``python -m cellsam_core`` is the ``cellsam-core`` command."""

from __future__ import annotations

import sys

from cellsam_core.cli import main

if __name__ == "__main__":
    sys.exit(main())
