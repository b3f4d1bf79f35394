"""What is written can be read again, sample for sample, and a failed write leaves the old file."""

import subprocess
import sys
import tracemalloc
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from core.audio.decode import load, probe
from core.audio.encode import FORMATS, read_wav, to_int16, wav_bytes, write_audio
from core.audio.resample import StreamResampler, resample
from core.errors import BadInput
from tests.audio.media import tone, write_media

RATE = 44100


@pytest.mark.parametrize("fmt", FORMATS)
def test_round_trip_with_tags_and_equal_bytes(tmp_path: Path, fmt: str) -> None:
    path = tmp_path / f"song.{fmt}"
    write_audio(path, tone(1.5), RATE, tags={"title": "Ein Lied 歌", "voice": "Ann", "empty": ""})
    first = path.read_bytes()
    y = load(path, RATE)
    assert y.size == round(1.5 * RATE)
    assert np.abs(y - tone(1.5))[2000:-2000].max() < (5e-3 if fmt == "mp3" else 2e-5)
    with av.open(str(path)) as opened:
        assert opened.metadata["title"] == "Ein Lied 歌"
        assert "Ann" in str(dict(opened.metadata))
    write_audio(path, tone(1.5), RATE, tags={"title": "Ein Lied 歌", "voice": "Ann", "empty": ""})
    assert path.read_bytes() == first


@given(hnp.arrays(np.int16, st.integers(0, 3000)), st.sampled_from([8000, 22050, 44100, 96000]))
def test_wav_holds_every_16_bit_value(tmp_path_factory: pytest.TempPathFactory, x: np.ndarray, rate: int) -> None:
    path = tmp_path_factory.getbasetemp() / "any.wav"
    path.write_bytes(wav_bytes(x.astype(np.float32) / 32768, rate, {"title": "odd"}))
    y, got = read_wav(path)
    assert got == rate
    assert np.array_equal(to_int16(y), x)


def test_to_int16_clips_and_drops_what_is_no_number() -> None:
    assert to_int16(np.array([2.0, -2.0, np.nan, np.inf, 0.5])).tolist() == [32767, -32768, 0, 0, 16384]


def test_read_wav_reads_other_kinds(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.wav", np.stack([tone(0.3), tone(0.3)]), 48000, layout="stereo")
    y, rate = read_wav(path)
    assert rate == 48000
    assert np.abs(y - tone(0.3)).max() < 1e-4
    with pytest.raises(BadInput):
        read_wav(tmp_path / "gone.wav")


def test_mp3_at_a_rate_it_does_not_know(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "a.mp3", tone(1.0, 96000), 96000)
    assert probe(path).rate_hz == 48000
    assert abs(load(path, 96000).size - 96000) < 10
    low = write_audio(tmp_path / "b.mp3", tone(1.0, 16000), 16000)
    assert probe(low).rate_hz == 32000
    assert np.abs(load(low, 16000) - tone(1.0, 16000))[2000:-2000].max() < 5e-3


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_long_result_is_written_from_disk_without_coming_into_memory(tmp_path: Path, fmt: str) -> None:
    rate, n_samples = 96000, 12_000_000  # MP3 resamples on the way
    samples = np.memmap(tmp_path / "long.f32", np.float32, "w+", shape=(n_samples,))
    samples[-rate:] = 0.25
    tracemalloc.start()
    try:
        write_audio(tmp_path / f"long.{fmt}", samples, rate)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < samples.nbytes / 2
    assert probe(tmp_path / f"long.{fmt}").duration_s == pytest.approx(n_samples / rate, abs=0.1)


def test_unknown_format_and_empty_sound(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="exe"):
        write_audio(tmp_path / "a.exe", tone(0.1), RATE)
    assert not (tmp_path / "a.exe").exists()
    for fmt in FORMATS:
        with pytest.raises(BadInput, match="no sound"):
            write_audio(tmp_path / f"empty.{fmt}", np.zeros(0, np.float32), RATE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs RLIMIT_FSIZE, which stands in for a full disk")
def test_a_full_disk_leaves_the_old_file(tmp_path: Path, fmt: str) -> None:
    path = tmp_path / f"a.{fmt}"
    write_audio(path, tone(0.2), RATE)
    before = path.read_bytes()
    script = (
        "import resource, signal, sys; import numpy as np\n"
        "from core.audio.encode import write_audio; from core.errors import NoSpace\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
        "noise = np.random.default_rng(0).standard_normal(400000).astype('f4') * 0.2\n"
        "try: write_audio(sys.argv[1], noise, 44100)\n"
        "except NoSpace as err: sys.exit(0 if err.hint else 3)\n"
        "sys.exit(4)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@given(st.sampled_from([8000, 16000, 22050, 44100, 48000]), st.lists(st.integers(1, 5000), min_size=1, max_size=6))
def test_streamed_resampling_equals_the_whole(to_hz: int, sizes: list[int]) -> None:
    x = np.random.default_rng(sum(sizes)).standard_normal(sum(sizes)).astype(np.float32)
    stream = StreamResampler(24000, to_hz)
    parts, at = [], 0
    for size in sizes:
        parts.append(stream.push(x[at : at + size]))
        at += size
    y = np.concatenate([*parts, stream.finish()])
    whole = resample(x, 24000, to_hz)
    assert abs(y.size - whole.size) <= 1
    n = min(y.size, whole.size)
    assert np.allclose(y[:n], whole[:n], atol=1e-4)


def test_resample_keeps_a_tone_and_the_same_rate_is_untouched() -> None:
    y = resample(tone(1.0, 8000), 8000, RATE)
    assert np.abs(y - tone(1.0))[2000:-2000].max() < 1e-3
    assert resample(tone(0.1), RATE, RATE).tolist() == tone(0.1).tolist()
    assert resample(np.zeros(0, np.float32), 8000, RATE).size == 0
