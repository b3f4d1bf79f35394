"""A song becomes two files that are the song again; offline, in bounded memory, and cancelled leaving nothing."""

import socket
from pathlib import Path

import numpy as np
import pytest
import soundfile

from core.cleaning.separate import check, separate_stems
from core.errors import BadInput, Cancelled, Unavailable
from core.jobs.context import ForegroundContext
from core.models.catalogue import entry, locate
from tests.cleaning import tiny_mdx
from tests.cleaning.kit import context, source_of, through

RATE = 44100


@pytest.fixture
def model(workspace: Path) -> Path:
    """A tiny network where the studio looks for one."""
    return tiny_mdx.write(workspace / entry("vocals").folder, "Kim_Vocal_2.onnx")


@pytest.fixture
def song(tmp_path: Path) -> Path:
    path = tmp_path / "song.wav"
    rng = np.random.default_rng(3)
    soundfile.write(path, (rng.standard_normal((3 * RATE, 2)) * 0.1).astype(np.float32), RATE, "PCM_24")
    return path


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_missing_weights_come_with_a_way_to_get_them(workspace: Path) -> None:
    with pytest.raises(Unavailable) as err:
        check(context(workspace).settings)
    assert "pretrain/separation" in err.value.hint


def test_the_catalogue_finds_what_the_step_uses(workspace: Path, model: Path) -> None:
    settings = context(workspace).settings
    assert check(settings) == model.name
    assert locate(settings, "vocals").state == "present"


@pytest.mark.usefixtures("model", "no_network")
def test_two_stems_that_are_the_song(workspace: Path, song: Path) -> None:
    told: list[float] = []
    ctx = ForegroundContext(context(workspace).settings, lambda fraction, _: told.append(fraction))
    stems = separate_stems(song, workspace / "out", ctx)
    truth, _ = soundfile.read(song)
    vocals, rate_hz = soundfile.read(stems.vocals)
    music, _ = soundfile.read(stems.accompaniment)
    assert (rate_hz, stems.rate_hz, stems.model) == (RATE, RATE, "Kim_Vocal_2.onnx")
    assert vocals.shape == music.shape == truth.shape
    assert np.abs(vocals + music - truth).max() < 1e-6
    assert np.abs(vocals).mean() > 0.01
    assert np.abs(music).mean() > 0.01
    assert told == sorted(told)
    assert told[-1] == 1.0


@pytest.mark.usefixtures("model", "no_network")
def test_the_step_gives_the_voice_in_mono_at_the_recordings_rate(workspace: Path, tmp_path: Path) -> None:
    tone = (0.3 * np.sin(2 * np.pi * 440 * np.arange(32000) / 16000)).astype(np.float32)
    source = source_of(workspace, tone, 16000)
    voice = through("separate", source)
    assert abs(voice.size - tone.size) <= 1
    assert 0.001 < np.abs(voice).max() < 0.6
    assert source.notes == ["model: Kim_Vocal_2.onnx"]


@pytest.mark.usefixtures("model")
def test_cancelled_leaves_nothing(workspace: Path, song: Path) -> None:
    ctx = context(workspace)
    ctx.request_cancel()
    with pytest.raises(Cancelled):
        separate_stems(song, workspace / "out", ctx)
    assert list((workspace / "out").iterdir()) == []


@pytest.mark.usefixtures("model")
def test_no_sound(workspace: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.wav"
    soundfile.write(empty, np.zeros((0, 2)), RATE)
    with pytest.raises(BadInput):
        separate_stems(empty, workspace / "out", context(workspace))
    assert list((workspace / "out").iterdir()) == []


@pytest.mark.usefixtures("model")
def test_memory_does_not_grow_with_the_song(workspace: Path, tmp_path: Path) -> None:
    import tracemalloc

    peaks = []
    for seconds in (20, 50):
        path = tmp_path / f"{seconds}.wav"
        soundfile.write(path, np.zeros((seconds * RATE, 2), np.float32), RATE)
        tracemalloc.start()
        separate_stems(path, workspace / f"{seconds}", context(workspace))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]
