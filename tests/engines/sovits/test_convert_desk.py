"""What the page asks of conversion: found and drawn pitch, pictures of it, speakers, what a model lacks."""

from pathlib import Path

import numpy as np
import pytest

from core.dataset.voices import VoiceStore
from core.engines.sovits import pitch_job, pitch_spectrum
from core.engines.sovits.convert_desk import ConversionDesk
from core.engines.sovits.pitch_job import run_pitch
from core.engines.sovits.pitch_spectrum import HIGHEST_HZ, LOWEST_HZ, ROWS, picture, spectrum_block
from core.engines.sovits.pitch_track import HOP, read_track, write_track
from core.errors import BadInput, Cancelled, NotFound
from core.features import pitch
from core.jobs.context import ForegroundContext
from core.settings import Settings, load_settings
from core.studio import Studio
from tests.engines.sovits import convert_material as material
from tests.training.material import register_encoder, sung_vowel, write_clip

RATE_HZ = 44100


@pytest.fixture
def settings(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    register_encoder(monkeypatch)
    fresh = {"workspace": workspace, "pretrain_dir": workspace / "pretrain", "device": "cpu", "threads": 1}
    return load_settings(fresh, env={})


@pytest.fixture
def desk(settings: Settings) -> ConversionDesk:
    material.duet(VoiceStore(settings.voices_dir).create("duo"))
    write_clip(settings.outputs / "sources" / "song.wav", sung_vowel(0.6, 220))
    return Studio(settings).conversion


def find(desk: ConversionDesk, name: str = "song.wav") -> dict:
    job = desk.find_pitch(name, "duo", "pm")
    assert job.kind == "pitch"
    return run_pitch(job.params, ForegroundContext(desk.settings))


# ---- pitch


def test_found_drawn_and_put_back(desk: ConversionDesk) -> None:
    assert desk.track("song.wav") is None
    assert desk.stamp("song.wav") == ""
    result = find(desk)
    found = desk.track("song.wav")
    assert found is not None
    assert result["f0_median"] == pytest.approx(220, rel=0.2)
    assert found.size == result["n_frames"] == -(-round(0.6 * RATE_HZ) // HOP)
    stamp = desk.stamp("song.wav")
    drawn = np.where(found > 0, 300, 0).astype(np.float32)
    assert read_track(desk.draw("song.wav", drawn)).f0.tolist() == drawn.tolist()
    assert desk.track("song.wav").tolist() == drawn.tolist()
    assert desk.stamp("song.wav") == stamp, "what is drawn is not fetched again"
    assert desk.drawn("song.wav") == desk.pitch_file("song.wav")
    desk.forget("song.wav")
    assert desk.track("song.wav").tolist() == found.tolist()
    assert desk.stamp("song.wav") != stamp
    assert desk.drawn("song.wav") is None


def test_a_file_is_taken_as_drawn(desk: ConversionDesk, tmp_path: Path) -> None:
    desk.import_pitch("song.wav", write_track(tmp_path / "x.npy", np.full(9, 200, np.float32)))
    assert desk.track("song.wav").tolist() == [200] * 9
    assert desk.stamp("song.wav")
    with pytest.raises(BadInput):
        desk.import_pitch("song.wav", desk.source("song.wav"))


def test_names_stay_in_their_folder(desk: ConversionDesk) -> None:
    for call in (desk.track, desk.forget, desk.drawn, lambda name: desk.spectrum(name, 0)):
        with pytest.raises(BadInput, match="outside"):
            call("../../studio.sqlite3")
        with pytest.raises(NotFound):
            call("gone.wav")
    with pytest.raises(BadInput, match="predictor"):
        desk.find_pitch("song.wav", "duo", "ear")
    with pytest.raises(NotFound, match="not known yet"):
        desk.pitch_file("song.wav")


def test_long_audio_is_tracked_in_pieces_as_if_whole(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    audio = sung_vowel(6.0, 200)
    source = write_clip(tmp_path / "long.wav", audio)
    asked = {"source": str(source), "pitch": "pm", "out": str(tmp_path / "o.npy")}
    whole = pitch.create("pm").predict(audio, RATE_HZ, HOP, audio.size // HOP)
    monkeypatch.setattr(pitch_job, "_PIECE", 100 * HOP)
    run_pitch(asked, ForegroundContext(settings))
    pieces = read_track(tmp_path / "o.npy").f0[: whole.size]
    both = (pieces > 0) & (whole > 0)
    assert ((pieces > 0) == (whole > 0)).mean() > 0.98
    assert np.abs(pieces[both] / whole[both] - 1).max() < 0.02
    ctx = ForegroundContext(settings, lambda *_: ctx.request_cancel())
    with pytest.raises(Cancelled):
        run_pitch({**asked, "out": str(tmp_path / "p.npy")}, ctx)
    assert not (tmp_path / "p.npy").exists()


# ---- pictures


@pytest.mark.parametrize("hz", [110.0, 440.0, 880.0])
def test_a_tone_is_seen_where_its_pitch_is(hz: float) -> None:
    seen = picture((0.5 * np.sin(2 * np.pi * hz * np.arange(16000) / 8000)).astype(np.float32))
    assert seen.shape == (ROWS, 100)
    row = round(np.log(hz / LOWEST_HZ) / np.log(HIGHEST_HZ / LOWEST_HZ) * (ROWS - 1))
    assert abs(int(seen[:, 50].argmax()) - row) <= 1
    assert seen[:, 50].max() > 200
    assert seen[(row + ROWS // 3) % ROWS, 50] < 60


def test_pictures_come_by_the_minute_and_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    t = np.arange(70 * 8000) / 8000
    tone = 0.5 * np.sin(2 * np.pi * np.where(t < 60, 220.0, 880.0) * t)
    path = write_clip(tmp_path / "a.wav", tone, rate_hz=8000)
    first, second, third = (np.frombuffer(spectrum_block(path, i, tmp_path / "c"), np.uint8) for i in range(3))
    assert (first.size, second.size, third.size) == (3000 * ROWS, 500 * ROWS, 0)
    assert abs(int(first.reshape(ROWS, -1)[:, -10].argmax()) - 2 / 5 * (ROWS - 1)) < 2
    assert abs(int(second.reshape(ROWS, -1)[:, 10].argmax()) - 4 / 5 * (ROWS - 1)) < 2
    monkeypatch.setattr(pitch_spectrum, "excerpt", None)
    assert spectrum_block(path, 1, tmp_path / "c") == second.tobytes()
    with pytest.raises(BadInput, match="no longer"):
        spectrum_block(tmp_path / "gone.wav", 0, tmp_path / "c")


# ---- models


def test_speakers_and_what_a_model_lacks(desk: ConversionDesk, settings: Settings) -> None:
    assert desk.speakers("duo") == {"Ann": 0, "Bo": 1}
    assert desk.missing("duo", {}) == ""
    assert "no diffusion model" in desk.missing("duo", {"diffusion": "shallow"})
    material.diffusion(desk.model_folder("duo"))
    assert "NSF-HiFi-GAN" in desk.missing("duo", {"diffusion": "shallow"})
    material.vocoder(settings.pretrain_dir / "nsf_hifigan")
    assert desk.missing("duo", {"diffusion": "shallow"}) == ""
    with pytest.raises(NotFound):
        desk.speakers("duo", "other")


def test_a_mix_file_becomes_curves_to_draw(desk: ConversionDesk, tmp_path: Path) -> None:
    known = desk.speakers("duo")
    file = tmp_path / "spkmix.py"
    file.write_text("x = {0: [[0, 0.5, 1, 0], [0.5, 1, 0, 1]], 1: [[0, 1, 0.5, 0.5]]}")
    curves = desk.read_mix(file, known)
    assert [tuple(map(float, p)) for p in curves["Ann"]] == [(0, 1), (0.5, 0), (1, 1)]
    assert curves["Bo"] == [(0, 0.5), (1, 0.5)]
    again = desk.read_mix(desk.keep_mix("song.wav", curves), known)
    assert [p for p in again["Ann"] if p[0] < 1] == [p for p in curves["Ann"] if p[0] < 1]
    file.with_name("s.json").write_text('{"format": "timbre-speaker-mix-1", "unit": "s", "speakers": {"Ann": 1}}')
    with pytest.raises(BadInput, match="seconds"):
        desk.read_mix(file.with_name("s.json"), known)
