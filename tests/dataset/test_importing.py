"""Importing: what people really drop in. One bad file never stops the others, and nothing is lost or doubled."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.audio.encode import wav_bytes, write_audio
from core.dataset.importing import import_recordings
from core.dataset.voices import VoiceStore
from core.errors import Cancelled
from core.jobs.context import ForegroundContext
from core.settings import load_settings
from tests.audio.media import tone, write_encrypted_mp4, write_media

RATE = 16000


def wav(path: Path, hz: float = 220.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(wav_bytes(tone(0.5, RATE, hz), RATE))
    return path


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return tmp_path / "voice" / "raw_audio"


def test_a_folder_with_everything_in_it(tmp_path: Path, raw: Path) -> None:
    folder = tmp_path / "drop"
    wav(folder / "one.wav", 200)
    wav(folder / "sub" / "deep" / "two.wav", 300)
    wav(folder / "sub" / 'quote\'s "x" 😀.wav', 400)
    wav(folder / "__MACOSX" / "one.wav", 500)
    wav(folder / ".hidden" / "three.wav", 600)
    write_media(folder / "film.mp4", tone(0.5))
    (folder / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (folder / "sub" / "Thumbs.db").write_bytes(b"x")
    (folder / "sub" / "._one.wav").write_bytes(b"x")
    (folder / "empty.wav").touch()
    (folder / "notes.txt").write_text("la la la " * 100)
    (folder / "page.pdf").write_bytes(b"%PDF-1.7" + bytes(1000))
    write_encrypted_mp4(folder / "bought.m4a")
    (folder / "cut.m4a").write_bytes(write_media(folder / "t" / "x.m4a", tone(2.0)).read_bytes()[:5000])
    report = import_recordings(raw, [folder])
    assert sorted(p.name for p in report.added) == ["film.mp4", "one.wav", "quote's _x_ 😀.wav", "two.wav", "x.m4a"]
    assert all(p.parent == raw and p.stat().st_size > 0 for p in report.added)
    reasons = dict(report.skipped)
    assert set(reasons) == {"empty.wav", "notes.txt", "page.pdf", "bought.m4a", "cut.m4a"}
    assert "0 bytes" in reasons["empty.wav"]
    assert "not an audio" in reasons["notes.txt"]
    assert "DRM" in reasons["bought.m4a"]
    assert "incomplete" in reasons["cut.m4a"]


def test_two_files_of_one_name_and_the_same_file_twice(tmp_path: Path, raw: Path) -> None:
    a, b = wav(tmp_path / "a" / "take.wav", 200), wav(tmp_path / "b" / "take.wav", 300)
    copy = wav(tmp_path / "c" / "other name.wav", 200)
    report = import_recordings(raw, [a, b, copy])
    assert [p.name for p in report.added] == ["take.wav", "take (2).wav"]
    assert [p.read_bytes() for p in report.added] == [a.read_bytes(), b.read_bytes()]
    assert report.skipped == [("other name.wav", "The same recording is there already as take.wav.")]
    again = import_recordings(raw, [a, b])
    assert again.added == []
    assert len(again.skipped) == 2
    assert len(list(raw.iterdir())) == 2


@pytest.mark.skipif(os.name == "nt", reason="Windows allows shorter names only")
def test_names_of_255_bytes(tmp_path: Path, raw: Path) -> None:
    names = ["é" * 125 + ".wav", "x" * 251 + ".wav", "歌" * 83 + ".flac"]
    for index, name in enumerate(names):
        assert len(name.encode()) <= 255
        write_audio(tmp_path / "in.tmp", tone(0.3, RATE, 200 + index), RATE, "flac" if name.endswith("c") else "wav")
        (tmp_path / "in.tmp").rename(tmp_path / name)
    report = import_recordings(raw, [tmp_path / name for name in names])
    assert report.skipped == []
    assert [p.suffix for p in report.added] == [".wav", ".wav", ".flac"]
    assert all(len(p.name.encode()) <= 200 for p in report.added)


def test_what_is_not_there_or_no_file(tmp_path: Path, raw: Path) -> None:
    (tmp_path / "nothing").mkdir()
    paths = [tmp_path / "gone.wav", tmp_path / "nothing", wav(tmp_path / "ok.wav")]
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.wav")
        paths.append(tmp_path / "pipe.wav")
    report = import_recordings(raw, paths)
    assert [p.name for p in report.added] == ["ok.wav"]
    assert {name for name, _ in report.skipped} == {"gone.wav", "nothing"} | {p.name for p in paths[3:]}


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_out_of_a_dropped_folder_are_not_followed(tmp_path: Path, raw: Path) -> None:
    secret = wav(tmp_path / "secret" / "s.wav")
    folder = tmp_path / "drop"
    wav(folder / "a.wav", 333)
    (folder / "link.wav").symlink_to(secret)
    (folder / "loop").symlink_to(folder)
    report = import_recordings(raw, [folder])
    assert [p.name for p in report.added] == ["a.wav"]
    assert [name for name, _ in report.skipped] == ["link.wav"]


def test_longer_than_the_limit(tmp_path: Path, raw: Path) -> None:
    settings = load_settings({"workspace": str(tmp_path), "max_decode_hours": 0.0005}, env={})
    path = tmp_path / "long.wav"
    path.write_bytes(wav_bytes(tone(3.0, 8000), 8000))
    report = import_recordings(raw, [path, wav(tmp_path / "ok.wav")], ForegroundContext(settings))
    assert [p.name for p in report.added] == ["ok.wav"]
    assert "limit" in report.skipped[0][1]


def test_cancel_leaves_no_half_file(tmp_path: Path, raw: Path) -> None:
    settings = load_settings({"workspace": str(tmp_path)}, env={})
    seen: list[float] = []

    def stop(fraction: float, _message: str) -> None:
        seen.append(fraction)
        if fraction > 0:
            ctx.request_cancel()

    ctx = ForegroundContext(settings, stop)
    paths = [wav(tmp_path / f"{n}.wav", 200 + n) for n in range(6)]
    with pytest.raises(Cancelled):
        import_recordings(raw, paths, ctx)
    left = sorted(p.name for p in raw.iterdir())
    assert 1 <= len(left) < 6
    assert not any(name.startswith(".tmp") for name in left)
    assert all((raw / name).read_bytes() == (tmp_path / name).read_bytes() for name in left)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs RLIMIT_FSIZE, which stands in for a full disk")
def test_a_full_disk_keeps_what_was_copied(tmp_path: Path) -> None:
    store = VoiceStore(tmp_path / "voices")
    voice = store.create("Ann")
    small = wav(tmp_path / "a small.wav")
    big = tmp_path / "b big.wav"
    big.write_bytes(wav_bytes(tone(60.0, RATE), RATE))
    script = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from core.dataset.importing import import_recordings; from core.errors import NoSpace\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200000, 200000))\n"
        "try: import_recordings(Path(sys.argv[1]), [Path(p) for p in sys.argv[2:]])\n"
        "except NoSpace as err: sys.exit(0 if '1 of 2' in err.hint and 'big' in err.message else 3)\n"
        "sys.exit(4)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(voice.raw), str(small), str(big)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert [p.name for p in voice.raw.iterdir()] == ["a small.wav"]
    assert len(import_recordings(voice.raw, [small, big]).added) == 1


def test_progress_reaches_the_end(tmp_path: Path, raw: Path) -> None:
    settings = load_settings({"workspace": str(tmp_path)}, env={})
    seen: list[float] = []
    ctx = ForegroundContext(settings, lambda fraction, _message: seen.append(fraction))
    import_recordings(raw, [wav(tmp_path / f"{n}.wav", 200 + n) for n in range(3)], ctx)
    assert seen[-1] == 1.0
    assert np.all(np.diff(seen) >= 0)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have no such names")
def test_names_that_are_not_unicode(tmp_path: Path, raw: Path) -> None:
    folder = os.fsencode(tmp_path / "drop")
    os.mkdir(folder)
    good = wav(tmp_path / "good.wav")
    os.rename(good, os.path.join(folder, b"caf\xe9.wav"))
    with open(os.path.join(folder, b"bad\xff.wav"), "wb") as out:
        out.write(b"junk" * 100)
    report = import_recordings(raw, [tmp_path / "drop"])
    assert [p.name for p in report.added] == ["caf.wav"]
    name, reason = report.skipped[0]
    assert (name + reason).encode()  # it can be shown and stored
