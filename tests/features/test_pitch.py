"""Every predictor against tones whose pitch is known."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.errors import BadInput, Unavailable
from core.features import pitch
from tests.features.tones import glide, noise, truth_at_frames, voice

RATE_HZ, HOP = 44100, 512
# rmvpe's weights are the user's: tests/features/test_rmvpe.py has a network of its own.
ALL = [name for name in pitch.PITCHES if name != "rmvpe"]
# crepe costs a second of CPU a second of audio: it hears fewer and shorter tones.
CASES = [
    *[(name, kind, 1.5) for name in ("fcpe", "dio", "pm") for kind in ("chirp", "fall", "vibrato", "low", "high")],
    *[("harvest", kind, 1.0) for kind in ("chirp", "vibrato")],
    *[("crepe-tiny", kind, 1.0) for kind in ("chirp", "vibrato", "low")],
    ("crepe", "chirp", 1.0),
]
_made: dict[str, pitch.PitchPredictor] = {}


def predictor(name: str) -> pitch.PitchPredictor:
    """One instance a session: loading crepe's weights takes longer than using them."""
    if name in ("dio", "harvest"):
        pytest.importorskip("pyworld", reason="pyworld is optional: requirements-optional.txt")
    if name not in _made:
        _made[name] = pitch.create(name)
    return _made[name]


@pytest.mark.parametrize(("name", "kind", "duration_s"), CASES)
def test_tones_are_tracked_within_two_percent(name: str, kind: str, duration_s: float) -> None:
    truth = glide(kind, duration_s, RATE_HZ)
    n_frames = truth.size // HOP
    f0 = predictor(name).predict(voice(truth, RATE_HZ), RATE_HZ, HOP, n_frames)
    assert f0.dtype == np.float32
    assert f0.shape == (n_frames,)
    error = np.abs(f0 / truth_at_frames(truth, HOP, n_frames) - 1)
    assert (error < 0.02).mean() >= 0.95
    assert np.median(error) < 0.005, "a lag of a frame would show here"


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("kind", ["white", "pink"])
def test_noise_is_unvoiced(name: str, kind: str) -> None:
    f0 = predictor(name).predict(noise(kind, 0.5, RATE_HZ), RATE_HZ, HOP, 43)
    assert (f0 > 0).mean() <= 0.1


@pytest.mark.parametrize("name", ALL)
def test_silence_and_its_edges_are_unvoiced(name: str) -> None:
    assert not predictor(name).predict(np.zeros(RATE_HZ // 4, np.float32), RATE_HZ, HOP, 21).any()
    tone = voice(glide("vibrato", 0.4, RATE_HZ), RATE_HZ)
    wav = np.concatenate([np.zeros(17640, np.float32), tone, np.zeros(17640, np.float32)])
    f0 = predictor(name).predict(wav, RATE_HZ, HOP, wav.size // HOP)
    centre_s = (np.arange(f0.size) + 0.5) * HOP / RATE_HZ
    assert not f0[(centre_s < 0.35) | (centre_s > 0.85)].any()
    assert (f0[(centre_s > 0.45) & (centre_s < 0.75)] > 0).mean() >= 0.95


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("n_samples", [0, 1, 100, 511, 700])
def test_audio_shorter_than_a_window(name: str, n_samples: int) -> None:
    wav = voice(glide("vibrato", 0.1, RATE_HZ), RATE_HZ)[:n_samples]
    for n_frames in (0, 1, 3):
        f0 = predictor(name).predict(wav, RATE_HZ, HOP, n_frames)
        assert f0.shape == (n_frames,)
        assert np.isfinite(f0).all()
        if n_samples == 0:
            assert not f0.any()


@pytest.mark.parametrize("name", ["fcpe", "dio", "pm"])
@pytest.mark.parametrize("rate_hz", [8000, 16000, 22050, 48000, 96000])
def test_the_rate_of_the_source_does_not_matter(name: str, rate_hz: int) -> None:
    truth = glide("fall", 1.0, rate_hz)
    hop = round(rate_hz * 0.01)
    f0 = predictor(name).predict(voice(truth, rate_hz, top_hz=3000), rate_hz, hop, 100)
    error = np.abs(f0 / truth_at_frames(truth, hop, 100) - 1)
    assert (error < 0.02).mean() >= 0.95


@pytest.mark.parametrize("name", ["fcpe", "dio", "pm"])
def test_frames_beyond_the_audio_are_unvoiced(name: str) -> None:
    tone = voice(glide("vibrato", 0.5, RATE_HZ), RATE_HZ)
    f0 = predictor(name).predict(tone, RATE_HZ, HOP, 100)
    assert f0.shape == (100,)
    assert not f0[44:].any()


@pytest.mark.parametrize("name", ["fcpe", "dio", "pm"])
def test_loud_and_quiet_audio_give_the_same_pitch(name: str) -> None:
    truth = glide("vibrato", 0.8, RATE_HZ)
    tone = voice(truth, RATE_HZ)
    n_frames = tone.size // HOP
    for gain in (0.05, 1.0, 40.0):  # -40 dB, and floats far beyond full scale
        f0 = predictor(name).predict((tone * gain).astype(np.float32), RATE_HZ, HOP, n_frames)
        error = np.abs(f0 / truth_at_frames(truth, HOP, n_frames) - 1)
        assert (error < 0.02).mean() >= 0.9, gain


def test_fcpe_reads_long_audio_in_pieces_without_a_seam() -> None:
    """61 s at 16 kHz: the value across the cut at 60 s is that of a piece around it."""
    rate_hz, hop = 16000, 160
    truth = glide("vibrato", 61.0, rate_hz)
    tone = voice(truth, rate_hz, top_hz=2000)
    f0 = predictor("fcpe").predict(tone, rate_hz, hop, 6100)
    error = np.abs(f0 / truth_at_frames(truth, hop, 6100) - 1)
    assert error[5950:6050].max() < 0.02
    assert (error < 0.02).mean() > 0.99


def test_fcpe_is_quiet_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    """The package prints when it loads; the command line's --json must stay one line."""
    pitch.create("fcpe").predict(np.full(4000, 3.0, np.float32), RATE_HZ, HOP, 7)
    out = capsys.readouterr()
    assert out.out == ""


def test_bad_requests() -> None:
    with pytest.raises(BadInput, match="Unknown pitch predictor"):
        pitch.create("swipe")
    with pytest.raises(BadInput, match="mono"):
        predictor("pm").predict(np.zeros((2, 100), np.float32), RATE_HZ, HOP, 1)
    with pytest.raises(BadInput, match="not numbers"):
        predictor("pm").predict(np.full(1000, np.nan, np.float32), RATE_HZ, HOP, 1)


def test_naming_predictors_does_not_import_torch() -> None:
    """A pre-flight lists them in the page's own process."""
    code = "import sys; from core.features.pitch import PITCHES; sys.exit('torch' in sys.modules or len(PITCHES) < 5)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_listing_and_making_agree() -> None:
    assert [info.name for info in pitch.available()] == list(pitch.PITCHES)
    for info in pitch.available():
        if info.ready:
            assert predictor(info.name).name == info.name
        else:
            with pytest.raises(Unavailable, match=r"not installed|rmvpe"):
                pitch.create(info.name)


def test_a_missing_pyworld_says_what_to_do(tmp_path: Path) -> None:
    """In a process that finds a broken pyworld first, as one whose pkg_resources is gone."""
    (tmp_path / "pyworld.py").write_text("raise ImportError('No module named pkg_resources')")
    code = (
        "from core.features import pitch\nfrom core.errors import Unavailable\n"
        "try: pitch.create('harvest')\nexcept Unavailable as error: print(error)"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert "pyworld" in done.stdout
    assert "pkg_resources" in done.stdout
    assert "fcpe" in done.stdout
