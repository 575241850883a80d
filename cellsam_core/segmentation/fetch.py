"""Download of the published CellSAM weights from their authors, with the user's token.

The service (users.deepcell.org) answers a POST of an asset's key with a link that holds for a
while; the link is read like any file. If the connection ends, the received bytes stay beside the
target, and the next call goes on from there.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tarfile
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from cellsam_core.errors import InputError, first_line
from cellsam_core.files.atomic import atomic_path

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

SERVICE = "https://users.deepcell.org/api/getData/"
TOKEN = "DEEPCELL_ACCESS_TOKEN"
"""Environment variable; the authors' own package reads the same."""

ASSET = "models/cellsam-models_v1.2.tar.gz"
ASSET_MD5 = "f41e6899c49fc8ce12f77a8d25594604"
MEMBER = "cellsam_general.pt"
TIMEOUT_S = 60
BLOCK = 2**20
DENIED = (401, 403)
RANGE_PAST_END = 416
PARTIAL = 206
UNREACHABLE = (URLError, HTTPException, ConnectionError, TimeoutError)


def fetch_weights(target: Path, token: str | None) -> None:
    """Download the archive of weights and take the general model out of it.

    Parameters
    ----------
    target
        File to write; it appears when it is complete and checked.
    token
        Access token of the user's account at the service.

    Raises
    ------
    InputError
        The token is missing or refused, the connection fails or ends, or the checksum is wrong.
    """
    if not token:
        raise InputError(
            f"environment variable `{TOKEN}`",
            found="no token",
            expected="the access token of your account at users.deepcell.org",
            remedy="make one there and set the variable",
        )
    archive = target.with_name(f"{target.name}.download")
    link = _ask(token)
    log.info("downloading %s", ASSET)
    download(link, archive)
    _check(archive)
    _extract(archive, target)
    archive.unlink()


def download(link: str, path: Path) -> None:
    """Read a link into a file; bytes that are there from an earlier call are not asked for again.

    Raises
    ------
    InputError
        The server refuses, or the connection ends; the received bytes are kept.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    present = path.stat().st_size if path.exists() else 0
    request = Request(link, headers={"Range": f"bytes={present}-"} if present else {})
    try:
        with urlopen(request, timeout=TIMEOUT_S) as answer:
            # A server that knows no ranges sends the whole file.
            resumed = answer.status == PARTIAL
            expected = int(answer.headers.get("Content-Length", -1))
            with path.open("ab" if resumed else "wb") as file:
                before = file.tell()
                shutil.copyfileobj(answer, file, BLOCK)
                received = file.tell() - before
    except HTTPError as error:
        if error.code == RANGE_PAST_END:
            return
        raise _refused(error) from error
    except UNREACHABLE as error:
        raise _unreachable(error) from error
    if received < expected:
        raise InputError(
            "download",
            found=f"{received} of {expected} bytes before the connection ended",
            expected="all of them",
            remedy="run again; it goes on from there",
        )


def _ask(token: str) -> str:
    """Ask the service for a link to the archive."""
    key = urlencode({"s3_key": ASSET}).encode()
    request = Request(SERVICE, data=key, headers={"X-Api-Key": token})
    try:
        with urlopen(request, timeout=TIMEOUT_S) as answer:
            content: Any = json.load(answer)
            return str(content["url"])
    except HTTPError as error:
        raise _refused(error) from error
    except UNREACHABLE as error:
        raise _unreachable(error) from error
    except (ValueError, LookupError, TypeError) as error:
        raise InputError(
            SERVICE,
            found="an answer without a link",
            expected="JSON with `url`",
            remedy="get the weights from the authors by hand and give the path of the file",
        ) from error


def _check(archive: Path) -> None:
    with archive.open("rb") as content:
        digest = hashlib.file_digest(content, "md5").hexdigest()
    if digest != ASSET_MD5:
        archive.unlink()
        raise InputError(
            "download",
            found=f"the MD5 checksum {digest}",
            expected=ASSET_MD5,
            remedy="run again; it starts anew",
        )


def _extract(archive: Path, target: Path) -> None:
    with tarfile.open(archive) as content:
        for member in content:
            if member.isfile() and member.name.rpartition("/")[2] == MEMBER:
                source = content.extractfile(member)
                assert source is not None
                with atomic_path(target) as temporary, temporary.open("wb") as file:
                    shutil.copyfileobj(source, file, BLOCK)
                return
    raise InputError(
        archive,
        found=f"no {MEMBER}",
        expected="the weights in it",
        remedy="get the weights from the authors by hand and give the path of the file",
    )


def _refused(error: HTTPError) -> InputError:
    error.close()
    if error.code in DENIED:
        return InputError(
            SERVICE,
            found=f"that the token is refused (status {error.code})",
            expected="a valid access token",
            remedy=f"make a new one at users.deepcell.org and set `{TOKEN}`",
        )
    return InputError(
        SERVICE, found=f"status {error.code}", expected="the weights", remedy="try again later"
    )


def _unreachable(error: Exception) -> InputError:
    return InputError(
        SERVICE,
        found=f"no connection ({first_line(error)})",
        expected="an answer",
        remedy="check the network and run again; the received bytes are kept",
    )
