"""Bodies, names, headers and files that nobody sends in good faith: refused, logged, nothing written outside."""

import gzip
import io
import json
import zipfile
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.studio import Studio

UPLOAD = "/api/v1/characters/bob/audio/upload"
TYPE = "multipart/form-data; boundary=b"


BOMB = b"cos\nsystem\n(S'touch /tmp/timbre-was-here'\ntR."
"""A pickle that would leave a mark, written by hand: nothing in this tree imports pickle."""


def zip_bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../escape.wav", b"\0" * (1 << 22))
    return out.getvalue()


def part(head: str, content: bytes = b"x") -> bytes:
    return f"--b\r\n{head}\r\n\r\n".encode() + content + b"\r\n--b--\r\n"


BODIES = {
    "nothing": b"",
    "no end": b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF',
    "no boundary in it": b"hello",
    "no name": part('Content-Disposition: form-data; filename="a.wav"'),
    "no filename": part('Content-Disposition: form-data; name="file"'),
    "empty filename": part('Content-Disposition: form-data; name="file"; filename=""'),
    "header without end": b"--b\r\n" + b"X" * 100_000,
    "many headers": part("\r\n".join(f"X-{i}: y" for i in range(5000))),
    "many fields": b"".join(f'--b\r\nContent-Disposition: form-data; name="f{i}"\r\n\r\n1\r\n'.encode()
                            for i in range(3000)) + b"--b--\r\n",
    "two files": part('Content-Disposition: form-data; name="file"; filename="a.wav"')[:-7]
    + part('Content-Disposition: form-data; name="file"; filename="b.wav"'),
    "bytes for a name": b'--b\r\nContent-Disposition: form-data; name="file"; filename="\xff\xfe\0.wav"\r\n\r\nx\r\n'
    b"--b--",
    "overlong slashes": b'--b\r\nContent-Disposition: form-data; name="file"; filename="..\xc0\xaf..\xc0\xafe.wav"'
    b"\r\n\r\nx\r\n--b--",
    "a stream of Windows": part('Content-Disposition: form-data; name="file"; filename="a.wav:evil::$DATA"'),
    "dots at the end": part('Content-Disposition: form-data; name="file"; filename="..\\\\..\\\\con.wav. . ."'),
    "ten thousand parts": b"".join(part(f'Content-Disposition: form-data; name="{i}"')[:-6] + b"\r\n"
                                   for i in range(10_000)) + b"--b--\r\n",
    "encoded path": part("Content-Disposition: form-data; name=\"file\"; filename*=UTF-8''..%2F..%2Fescape.wav"),
    "pickle": part('Content-Disposition: form-data; name="file"; filename="m.pth"', BOMB),
    "archive": part('Content-Disposition: form-data; name="file"; filename="a.zip"', zip_bomb()),
    "playlist": part('Content-Disposition: form-data; name="file"; filename="a.m3u8"',
                     b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"),
    "concat list": part('Content-Disposition: form-data; name="file"; filename="a.ffconcat"',
                        b"ffconcat version 1.0\nfile /etc/passwd\n"),
    "web address": part('Content-Disposition: form-data; name="file"; filename="http://127.0.0.1/a.wav"'),
    "wav of four gigabytes": part('Content-Disposition: form-data; name="file"; filename="a.wav"',
                                  b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0"
                                  b"\xff\xff\xff\xff\0\0\0\0\x02\0\x10\0"
                                  b"data\xff\xff\xff\xff"),
}  # fmt: skip


@pytest.fixture
def bob(client: TestClient) -> TestClient:
    assert client.post("/api/v1/characters", json={"character_name": "bob", "config": {}}).status_code == 200
    return client


def files_of(studio: Studio) -> set[Path]:
    """What lies around the workspace, but for databases and logs."""
    root = studio.settings.workspace.parent
    return {p for p in root.rglob("*") if p.is_file() and "sqlite3" not in p.name and p.suffix != ".log"}


@pytest.mark.parametrize("name", BODIES)
def test_bodies(bob: TestClient, studio: Studio, name: str) -> None:
    before = files_of(studio)
    answer = bob.post(UPLOAD, content=BODIES[name], headers={"content-type": TYPE})
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.json()["error"]["message"]
    assert files_of(studio) == before
    assert not Path("/tmp/timbre-was-here").exists()
    assert bob.get("/health").status_code == 200
    last = (studio.settings.log_dir / "access.log").read_text().splitlines()[-1]
    assert json.loads(last)["status"] == answer.status_code


@pytest.mark.parametrize(
    "content",
    [b"[" * 100_000, b'{"character_name": ' + b'{"a":' * 5000, b"\xff\xfe", b"null", b'{"character_name": 1e999}',
     b'{"character_name": "\\ud800", "config": {}}', gzip.compress(b"{}"), b'{"character_name": "x", "config": []}',
     b'{"character_name": "x", "config": {"steps": 1e400}}', b'{"character_name": "x", "config": {"batch_size": 2.5}}'],
)  # fmt: skip
def test_json(client: TestClient, studio: Studio, content: bytes) -> None:
    answer = client.post("/api/v1/characters", content=content, headers={"content-type": "application/json"})
    assert 400 <= answer.status_code < 500, answer.text
    assert studio.voices() == []


@pytest.mark.parametrize(
    "headers",
    [{"content-length": "-1"}, {"content-length": "9" * 40}, {"content-type": "multipart/form-data"},
     {"content-type": "multipart/form-data; boundary=" + "b" * 5000}, {"content-type": "x" * 60_000},
     {"range": "bytes=" + "0-," * 5000}, {"cookie": "=;" * 5000}, {"accept-encoding": "\x00"}],
)  # fmt: skip
def test_headers(bob: TestClient, headers: dict[str, str]) -> None:
    assert bob.post(UPLOAD, content=b"x", headers=headers).status_code < 500
    assert bob.get("/api/v1/characters", headers=headers).status_code < 500


NAMES = ("%2e%2e", "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e%5c%2e%2e%5cx", "%c0%ae%c0%ae", "%00", "bob%00", "CON", "bob.",
         "bob%20", "bob::$DATA", "%252e%252e", "\u2025", "a" * 5000)  # fmt: skip


def test_names_in_paths(bob: TestClient, studio: Studio) -> None:
    """None of them is bob, or anything else that there is."""
    before = files_of(studio)
    for name in NAMES:
        root = f"/api/v1/characters/{name}"
        for method, path in (("GET", root), ("DELETE", root), ("GET", f"{root}/audio/files"),
                             ("POST", f"{root}/training/clean"), ("GET", f"{root}/download/character.json"),
                             ("GET", f"/api/v1/characters/bob/download/{name}"), ("GET", f"/api/voices/{name}/models"),
                             ("DELETE", f"/api/v1/characters/bob/audio/files/{name}")):  # fmt: skip
            assert bob.request(method, path).status_code in (404, 405), (method, path[:80])
    assert files_of(studio) == before
    assert [each["character_name"] for each in bob.get("/api/v1/characters").json()] == ["bob"]


def test_ranges_of_a_download(bob: TestClient, speech: Path) -> None:
    bob.post(UPLOAD, files={"file": ("a.wav", speech.read_bytes())})
    url = "/api/v1/characters/bob/download/a.wav"
    assert bob.get(url, headers={"range": "bytes=0-43"}).content == speech.read_bytes()[:44]
    for odd in ("bytes=9-1", "bytes=999999999999-", "lines=1", "bytes=" + ",".join(f"{i}-{i}" for i in range(5000))):
        assert bob.get(url, headers={"range": odd}).status_code < 500


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_any_bytes_as_a_form(client: TestClient, data: bytes) -> None:
    for url in ("/api/tts/stream", "/v1/audio/transcriptions", "/api/v1/convert"):
        assert 400 <= client.post(url, content=data, headers={"content-type": TYPE}).status_code < 500


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(min_size=1, max_size=60))
def test_any_file_name(client: TestClient, studio: Studio, name: str) -> None:
    client.post("/api/v1/characters", json={"character_name": "bob", "config": {}})
    before = files_of(studio)
    assert client.post(UPLOAD, files={"file": (name, b"no sound")}).status_code in (400, 422)
    assert files_of(studio) == before
