"""The song job: real separation by a tiny network, a real conversion by random weights, the mix; and what it keeps."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.audio.decode import load, stream
from core.audio.encode import read_wav, write_audio
from core.dataset.voices import Voice, VoiceStore
from core.errors import BadInput, Cancelled, Conflict, NotFound, Unavailable
from core.jobs.context import ForegroundContext
from core.models.catalogue import entry
from core.settings import Settings, load_settings
from core.song.job import run_song
from core.song.options import SongOptions, options_from_sidecar, parse_options
from tests.cleaning import tiny_mdx
from tests.song.test_mix import RATE_HZ, band
from tests.training.material import export_random, register_encoder, sung_vowel

SECONDS = 2.0


@pytest.fixture
def settings(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    register_encoder(monkeypatch)
    given = {"workspace": workspace, "pretrain_dir": workspace / "pretrain", "device": "cpu", "threads": 1}
    return load_settings(given, env={})


@pytest.fixture
def voice(settings: Settings) -> Voice:
    made = VoiceStore(settings.voices_dir).create("歌手")
    export_random(made)
    return made


@pytest.fixture
def stems(tmp_path: Path) -> dict[str, str]:
    """Vocals that begin after 0.6 s, and a band."""
    silent = np.zeros(round(0.6 * RATE_HZ), np.float32)
    sung = np.concatenate([silent, sung_vowel(SECONDS - 0.6)])
    vocals = write_audio(tmp_path / "my vocals.wav", sung, RATE_HZ)
    rest = write_audio(tmp_path / "band.wav", band(SECONDS), RATE_HZ)
    return {"vocals": str(vocals), "accompaniment": str(rest)}


def make(settings: Settings, **params: Any) -> dict[str, Any]:
    convert = {"pitch": "dio", **params.pop("convert", {})}
    return run_song({"voice": "歌手", "convert": convert, **params}, ForegroundContext(settings))


def record_of(result: dict[str, Any]) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(Path(result["sidecar"]).read_text(encoding="utf-8"))
    return record


@pytest.mark.usefixtures("voice")
def test_given_stems_become_a_song_and_a_second_mix_converts_nothing(settings: Settings, stems: dict[str, str]) -> None:
    first = make(settings, **stems)
    assert first["duration_s"] == pytest.approx(SECONDS, abs=1e-3)
    assert first["reused"] == []
    sound = np.concatenate(list(stream(first["output"], RATE_HZ, stereo=True)))
    assert sound.shape == (round(SECONDS * RATE_HZ), 2)
    # Where nobody sings there is the band alone; where somebody does, there is more.
    before = slice(0, round(0.4 * RATE_HZ))
    np.testing.assert_allclose(sound[before], band(SECONDS)[before], atol=2e-3)
    assert np.abs(sound - band(SECONDS))[round(0.8 * RATE_HZ) :].max() > 0.01
    taken = read_wav(first["converted"])[0]
    assert taken.size == read_wav(stems["vocals"])[0].size
    kept = Path(first["converted"]).stat().st_mtime_ns
    second = make(settings, **stems, mix={"vocals": {"level_db": -6, "low_cut_hz": 90}, "reverb": 0.3}, format="flac")
    assert second["reused"] == ["conversion"]
    assert Path(second["converted"]).stat().st_mtime_ns == kept
    assert second["output"] != first["output"]
    assert record_of(second)["meters"]["vocals"]["lufs"] < record_of(first)["meters"]["vocals"]["lufs"] - 4
    assert not list(settings.cache_dir.glob("song-*"))


@pytest.mark.usefixtures("voice")
def test_the_sidecar_repeats_the_song_to_the_byte(settings: Settings, stems: dict[str, str], tmp_path: Path) -> None:
    first = make(settings, **stems, mix={"reverb": 0.2, "accompaniment": {"pan": 0.2}}, format="flac")
    params = options_from_sidecar(Path(first["sidecar"]))
    Path(first["converted"]).unlink()  # what was kept is not needed for it
    again = run_song({**params, "out": str(tmp_path / "again.flac")}, ForegroundContext(settings))
    assert again["reused"] == []
    assert Path(again["output"]).read_bytes() == Path(first["output"]).read_bytes()
    record = record_of(first)
    assert record["conversion"]["model"]["sha256"] == record["model_sha256"]
    write_audio(Path(stems["vocals"]), sung_vowel(1.0), RATE_HZ)
    with pytest.raises(Conflict, match="has changed"):
        options_from_sidecar(Path(first["sidecar"]))


@pytest.mark.usefixtures("voice")
def test_a_whole_song_is_parted_once(settings: Settings, tmp_path: Path) -> None:
    tiny_mdx.write(settings.pretrain_dir / entry("vocals").folder.removeprefix("pretrain/"), "Kim_Vocal_2.onnx")
    song = write_audio(tmp_path / "A 歌.wav", band(SECONDS) + sung_vowel(SECONDS)[:, None], RATE_HZ)
    told: list[str] = []
    ctx = ForegroundContext(settings, lambda _, message: told.append(message))
    params = {"voice": "歌手", "source": str(song), "convert": {"pitch": "dio"}}
    first = run_song(params, ctx)
    assert {"separating", "mixing"} <= set(told)
    vocals, rest = (load(first[name], RATE_HZ) for name in ("vocals", "accompaniment"))
    np.testing.assert_allclose(vocals + rest, load(song, RATE_HZ), atol=1e-4)
    assert Path(first["vocals"]).is_relative_to(settings.outputs)
    assert record_of(first)["separator"] == "Kim_Vocal_2.onnx"
    second = make(settings, source=str(song), mix={"offset_ms": 40})
    assert second["reused"] == ["stems", "conversion"]


@pytest.mark.usefixtures("voice")
def test_another_model_or_option_is_converted_again(settings: Settings, stems: dict[str, str], voice: Voice) -> None:
    first = make(settings, **stems)
    other = make(settings, **stems, convert={"seed": 5})
    assert (other["reused"], other["converted"] != first["converted"]) == ([], True)
    weights = voice.models / "random" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\0")
    assert make(settings, **stems)["reused"] == []
    Path(first["converted"]).write_bytes(b"cut off")
    assert make(settings, **stems)["reused"] == []


@pytest.mark.usefixtures("voice")
def test_the_voice_stays_in_the_songs_key(settings: Settings, stems: dict[str, str]) -> None:
    """A model that sings at 220 Hz and a source at 180: four semitones by ear, but no octave, so none here."""
    assert make(settings, **stems, convert={"transpose": "auto"})["transpose"] == 0
    off = make(settings, **stems, convert={"transpose": 3})
    assert any("different keys" in words for words in off["warnings"])
    assert not make(settings, **stems, convert={"transpose": -12})["warnings"]


@pytest.mark.parametrize(
    ("params", "error", "words"),
    [
        ({}, BadInput, "name a song to be parted"),
        ({"vocals": "a.wav"}, BadInput, "name a song to be parted"),
        ({"source": "a.wav", "vocals": "b.wav"}, BadInput, "name a song to be parted"),
        ({"source": "nowhere.wav"}, BadInput, "no file nowhere.wav"),
        ({"source": "a.wav", "convert": {"source": "b"}}, BadInput, "the song decides"),
        ({"source": "a.wav", "convert": {"colour": 1}}, BadInput, "colour"),
        ({"source": "a.wav", "mix": {"reverb": 2}}, BadInput, "mix.reverb"),
        ({"source": "a.wav", "voice": "nobody"}, NotFound, "nobody"),
        ({"source": "a.wav", "convert": {"model": "other"}}, NotFound, "no model 'other'"),
        ({"source": "a.wav", "out": "x.mp3"}, BadInput, "format is wav"),
    ],
)
@pytest.mark.usefixtures("voice")
def test_what_cannot_be_made_is_said_in_words(
    settings: Settings, params: dict[str, Any], error: type, words: str
) -> None:
    with pytest.raises(error, match=words):
        make(settings, **params)


@pytest.mark.usefixtures("voice")
def test_without_a_separation_model_it_says_where_one_goes(settings: Settings, stems: dict[str, str]) -> None:
    with pytest.raises(Unavailable, match="Vocal separation has no model"):
        make(settings, source=stems["vocals"])


@pytest.mark.usefixtures("voice")
def test_a_result_may_not_replace_a_stem_and_a_cancel_leaves_none(settings: Settings, stems: dict[str, str]) -> None:
    with pytest.raises(BadInput, match="made from would be lost"):
        make(settings, **stems, out=stems["vocals"])
    ctx = ForegroundContext(settings)
    ctx.request_cancel()
    with pytest.raises(Cancelled):
        run_song({"voice": "歌手", **stems}, ctx)
    assert not list(settings.outputs.glob("*.wav"))


def test_options_have_their_limits_and_loading_them_is_light() -> None:
    plain = parse_options({"voice": "a", "source": "b"})
    assert isinstance(plain, SongOptions)
    assert plain.mix.vocals.level_db == 0.0
    code = "import core.song.options, sys; print([m for m in ('torch', 'numpy', 'scipy', 'av') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
