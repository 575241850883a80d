"""`weights fetch` against a local stand-in for the authors' service."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cellsam_core.cli import main
from cellsam_core.segmentation import fetch as deepcell
from cellsam_core.segmentation import weights

WEIGHTS = bytes(range(256)) * 4000


def archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as content:
        for name, data in (("m/cellsam_extra.pt", b"other"), ("m/cellsam_general.pt", WEIGHTS)):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            content.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


class Service(BaseHTTPRequestHandler):
    """Answers as the service and as its file store; the test sets the class attributes."""

    content = archive()
    status = 200
    cut_after: int | None = None
    knows_ranges = True
    requests: list[tuple[str, str | None]]

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        assert "cellsam-models" in body
        self.requests.append(("key", self.headers["X-Api-Key"]))
        host, port = self.server.server_address
        link = json.dumps({"url": f"http://{host}:{port}/file", "size": "1.0 MB"}).encode()
        self._answer(self.status, link)

    def do_GET(self):
        assert self.headers["X-Api-Key"] is None, "the file store must not see the token"
        asked = self.headers["Range"]
        self.requests.append(("range", asked))
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        if asked and start >= len(self.content):
            self._answer(416, b"")
        elif asked and self.knows_ranges:
            self._answer(206, self.content[start:])
        else:
            self._answer(200, self.content)

    def _answer(self, status, data):
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: self.cut_after] if self.command == "GET" else data)

    def log_message(self, *_):
        pass


@pytest.fixture
def service(monkeypatch, tmp_path):
    own = type("Own", (Service,), {"requests": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), own)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host, port = server.server_address
    monkeypatch.setattr(deepcell, "SERVICE", f"http://{host}:{port}/api/")
    monkeypatch.setattr(deepcell, "ASSET_MD5", hashlib.md5(own.content).hexdigest())
    monkeypatch.setattr(weights, "VIT_B", tmp_path / "models" / "cellsam_general.pt")
    monkeypatch.setenv(deepcell.TOKEN, "secret")
    yield own
    server.shutdown()
    server.server_close()


def refused(capsys) -> str:
    assert main(["weights", "fetch"]) == 1
    assert not weights.VIT_B.exists()
    return capsys.readouterr().err


def test_fetched_weights_are_in_place_and_nothing_else(service, capsys):
    assert main(["weights", "fetch"]) == 0
    assert weights.VIT_B.read_bytes() == WEIGHTS
    assert [p.name for p in weights.VIT_B.parent.iterdir()] == ["cellsam_general.pt"]
    printed = json.loads(capsys.readouterr().out)
    assert printed["sha256"] == hashlib.sha256(WEIGHTS).hexdigest()
    assert "non-commercial" in printed["licence"]
    assert service.requests == [("key", "secret"), ("range", None)]
    # What is there is not asked for again.
    assert main(["weights", "fetch"]) == 0
    assert len(service.requests) == 2


def test_a_cut_download_goes_on(service, capsys):
    service.cut_after = 1000
    assert f"1000 of {len(service.content)} bytes" in refused(capsys)
    service.cut_after = None
    assert main(["weights", "fetch"]) == 0
    assert weights.VIT_B.read_bytes() == WEIGHTS
    assert ("range", "bytes=1000-") in service.requests


def test_a_server_without_ranges_sends_all_again(service, capsys):
    service.cut_after = 1000
    refused(capsys)
    service.cut_after, service.knows_ranges = None, False
    assert main(["weights", "fetch"]) == 0
    assert weights.VIT_B.read_bytes() == WEIGHTS


def test_a_whole_download_that_was_not_unpacked_is_not_read_again(service):
    kept = weights.VIT_B.with_name("cellsam_general.pt.download")
    kept.parent.mkdir()
    kept.write_bytes(service.content)
    assert main(["weights", "fetch"]) == 0
    assert weights.VIT_B.read_bytes() == WEIGHTS


def test_a_wrong_checksum_throws_the_download_away(service, monkeypatch, capsys):
    monkeypatch.setattr(deepcell, "ASSET_MD5", "0" * 32)
    assert "MD5" in refused(capsys)
    assert list(weights.VIT_B.parent.iterdir()) == []


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token(service, capsys, status):
    service.status = status
    message = refused(capsys)
    assert f"the token is refused (status {status})" in message
    assert "secret" not in message


def test_other_trouble_of_the_service(service, capsys):
    service.status = 500
    assert "status 500" in refused(capsys)


def test_no_token(service, monkeypatch, capsys):
    monkeypatch.delenv(deepcell.TOKEN)
    assert deepcell.TOKEN in refused(capsys)
    assert service.requests == []


def test_no_service(service, monkeypatch, capsys):
    monkeypatch.setattr(deepcell, "SERVICE", "http://127.0.0.1:9/")
    assert "no connection" in refused(capsys)
