"""From a microscope folder to published tables: segment, track, assign, report.

Every stage is one function, which notebook, command line and Snakemake all call; the names are
listed in ``__init__.pyi`` and imported when they are first used, so that ``import cellsam_core``
takes milliseconds.
"""

import lazy_loader

from cellsam_core.version import SCHEMA_VERSION, __version__

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["SCHEMA_VERSION", "__version__"]
