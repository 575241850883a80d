"""Models of other packages by the value of the option `weights`: found, fetched, loaded."""

from __future__ import annotations

import hashlib
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cellsam_core.errors import InputError, first_line
from cellsam_core.models import BACKENDS, Backend, backend_of, refuse_absent_backend

if TYPE_CHECKING:
    from cellsam_core.segmentation.backends.contract import Adapter, Network
    from cellsam_core.segmentation.options import Target

OWN_FILE = "unknown (user's file)"


def identify(weights: str) -> tuple[str, str, str]:
    """Return the path, the checksum and the licence of weights such as ``cellpose:cyto3``.

    Raises
    ------
    InputError
        The package is not installed, or the model is not on this computer.
    """
    backend, adapter = _adapter(weights)
    path = adapter.find(backend.model)
    if path is None:
        raise _absent(weights, backend, adapter)
    is_named = backend.model in adapter.names()
    licence = adapter.licence(backend.model) if is_named else OWN_FILE
    with path.open("rb") as content:
        return str(path), hashlib.file_digest(content, "sha256").hexdigest(), licence


def load(weights: str, path: str, device: str, target: Target = "cell") -> Network:
    """Load a model of another package.

    Parameters
    ----------
    weights
        Value of the option `weights`.
    path
        File of the model, as :func:`identify` returned it.
    device
        ``cpu`` or ``cuda``.
    target
        Objects to find, for a model that knows cells and nuclei.

    Raises
    ------
    InputError
        The package can't read the file.
    """
    backend, adapter = _adapter(weights)
    try:
        return adapter.load(Path(path), device, target)
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            path,
            found=f"no model that {backend.package} can open ({first_line(error)})",
            expected=f"a model of the installed version of {BACKENDS[backend.package]}",
            remedy="delete the file and fetch the model again, or name another one",
        ) from error


def fetch(weights: str) -> None:
    """Download a model through its package, if it is not on this computer yet.

    Raises
    ------
    InputError
        The package offers no model of this name, or the download failed.
    """
    backend, adapter = _adapter(weights)
    if adapter.find(backend.model) is not None:
        return
    if backend.model not in adapter.names():
        raise _unknown(weights, backend, adapter)
    try:
        adapter.fetch(backend.model)
    except Exception as error:
        raise InputError(
            f"weights {weights!r}",
            found=f"a download that failed ({first_line(error)})",
            expected=f"the model in {adapter.FOLDER_WORDS}",
            remedy="try again, or copy the file there from a computer that has it",
        ) from error
    if adapter.find(backend.model) is None:
        raise _absent(weights, backend, adapter)


def _adapter(weights: str) -> tuple[Backend, Adapter]:
    refuse_absent_backend(weights)
    backend = backend_of(weights)
    assert backend is not None
    name = f"cellsam_core.segmentation.backends.{backend.package}"
    return backend, cast("Adapter", import_module(name))


def _absent(weights: str, backend: Backend, adapter: Adapter) -> InputError:
    if backend.model not in adapter.names():
        return _unknown(weights, backend, adapter)
    return InputError(
        f"weights {weights!r}",
        found="no file of this model on this computer",
        expected=f"it in {adapter.FOLDER_WORDS}",
        remedy=f"run `cellsam-core weights fetch {weights}` once, with a connection to the"
        " internet, or copy the file there",
    )


def _unknown(weights: str, backend: Backend, adapter: Adapter) -> InputError:
    return InputError(
        f"weights {weights!r}",
        found=f"no file {backend.model}, and no model of this name in {BACKENDS[backend.package]}",
        expected=f"one of {', '.join(adapter.names())}, or the path of a model",
        remedy="correct the option `weights`",
    )
