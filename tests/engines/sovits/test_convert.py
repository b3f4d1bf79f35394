"""Conversion: as long as its source, the same twice, no clicks, nothing half-made."""

import itertools
import json
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.audio.encode import read_wav
from core.audio.slicer import Chunk
from core.dataset.voices import Voice, VoiceStore
from core.engines.sovits import join
from core.engines.sovits.convert import find_model, options_from_sidecar, run_convert, suggest_transpose
from core.engines.sovits.convert_options import parse_options
from core.engines.sovits.export import export_model, load_model, read_card, voice_models
from core.engines.sovits.join import Piece, add_piece, follow_loudness, limit_peaks, pieces_of
from core.errors import BadInput, Cancelled, Conflict, ModelFileError, NotFound
from core.features import pitch
from core.jobs.context import ForegroundContext
from core.settings import Settings, load_settings
from tests.training.material import export_random, register_encoder, sung_vowel, write_clip

RATE_HZ = 44100


@pytest.fixture
def settings(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    register_encoder(monkeypatch)
    return load_settings({"workspace": workspace, "device": "cpu", "threads": 1}, env={})


@pytest.fixture
def voice(settings: Settings) -> Voice:
    made = VoiceStore(settings.voices_dir).create("歌手")
    export_random(made)
    return made


def song(folder: Path) -> Path:
    """1.6 s of voice, 6 s of nothing, 1.1 s of voice; 44.1 kHz."""
    quiet = np.zeros(6 * RATE_HZ, np.float32)
    return write_clip(folder / "a song.wav", np.concatenate([sung_vowel(1.6, 220), quiet, sung_vowel(1.1, 300, 1)]))


def convert(settings: Settings, source: Path, **more: object) -> dict:
    params = {"voice": "歌手", "source": str(source), "pitch": "dio", **more}
    return run_convert(params, ForegroundContext(settings))


def test_length_place_tags_and_record(settings: Settings, voice: Voice) -> None:
    source = song(settings.workspace)
    result = convert(settings, source)
    audio, rate_hz = read_wav(result["output"])
    before, _ = read_wav(source)
    assert (rate_hz, audio.size) == (RATE_HZ, before.size)
    assert np.abs(audio).max() <= 1.0
    assert np.abs(audio[RATE_HZ // 2 : RATE_HZ]).max() > 0.01
    record = json.loads(Path(result["sidecar"]).read_text(encoding="utf-8"))
    rows = record["slices"]
    assert rows[0]["start_s"] == 0
    assert rows[-1]["end_s"] == pytest.approx(before.size / RATE_HZ)
    assert [a["end_s"] for a in rows[:-1]] == [b["start_s"] for b in rows[1:]]
    for row in rows:
        if row["silent"]:
            first, last = (round(row[k] * RATE_HZ) for k in ("start_s", "end_s"))
            edge = round(join.FADE_S * RATE_HZ)
            assert np.abs(audio[first + edge : last - edge]).max() == 0
    assert any(row["silent"] for row in rows)
    with av.open(result["output"]) as file:
        tags = {k.lower(): v for k, v in file.metadata.items()}
    assert tags["artist"] == "歌手"
    assert "Synthetic" in tags["comment"]
    assert not list(settings.cache_dir.glob("convert-*"))


@pytest.mark.parametrize("family", ["lite", "tiny"])
def test_a_sidecar_makes_the_same_file_again(settings: Settings, voice: Voice, family: str) -> None:
    export_random(voice, family, name=family)
    source = write_clip(settings.workspace / "s.wav", sung_vowel(1.2, 200))
    first = convert(settings, source, model=family, transpose="auto", max_slice_s=2)
    again = run_convert(options_from_sidecar(Path(first["sidecar"])), ForegroundContext(settings))
    other = convert(settings, source, model=family, transpose=first["transpose"], max_slice_s=2, seed=1)
    assert first["output"] != again["output"]
    assert Path(first["output"]).read_bytes() == Path(again["output"]).read_bytes()
    assert Path(first["output"]).read_bytes() != Path(other["output"]).read_bytes()


def test_a_sidecar_of_what_has_changed_is_refused(settings: Settings, voice: Voice) -> None:
    source = write_clip(settings.workspace / "s.wav", sung_vowel(0.6))
    sidecar = Path(convert(settings, source)["sidecar"])
    write_clip(source, sung_vowel(0.6, seed=4))
    with pytest.raises(Conflict, match="recording"):
        options_from_sidecar(sidecar)
    source.unlink()
    with pytest.raises(NotFound, match="recording"):
        options_from_sidecar(sidecar)
    with pytest.raises(BadInput, match="not the sidecar"):
        options_from_sidecar(voice.models / "random" / "card.json")
    with pytest.raises(NotFound):
        options_from_sidecar(settings.workspace / "no.json")


def test_pitch_follows_the_transposition(settings: Settings, voice: Voice) -> None:
    t = np.arange(int(1.5 * RATE_HZ)) / RATE_HZ
    tone = 0.1 * sum(np.sin(2 * np.pi * 150 * k * t) / k for k in range(1, 10))
    source = write_clip(settings.workspace / "tone.wav", tone)
    result = convert(settings, source, transpose=12)
    audio, _ = read_wav(result["output"])
    f0 = pitch.create("harvest").predict(audio, RATE_HZ, 512, audio.size // 512)
    assert np.median(f0[f0 > 0]) == pytest.approx(300, rel=0.02)
    assert convert(settings, source, transpose="auto")["transpose"] == 7  # 150 Hz to the card's 220 Hz


def test_no_click_where_pieces_meet(settings: Settings, voice: Voice) -> None:
    t = np.arange(9 * RATE_HZ) / RATE_HZ
    source = write_clip(settings.workspace / "tone.wav", 0.3 * np.sin(2 * np.pi * 200 * t))
    pieces = convert(settings, source, max_slice_s=2, transpose=0, out=str(settings.workspace / "p.wav"))
    borders = [row["end_s"] for row in json.loads(Path(pieces["sidecar"]).read_text())["slices"]][:-1]
    assert len(borders) >= 4
    audio, _ = read_wav(pieces["output"])
    jerk = np.abs(np.diff(audio, 2))
    near = np.zeros(jerk.size, bool)
    for border in borders:
        at = round(border * RATE_HZ)
        near[at - 800 : at + 800] = True
    inner = slice(RATE_HZ // 10, -RATE_HZ // 10)
    assert jerk[inner][near[inner]].max() <= 1.2 * jerk[inner][~near[inner]].max()


def test_other_rates_channels_and_formats(settings: Settings, voice: Voice) -> None:
    low = write_clip(settings.workspace / "low.wav", sung_vowel(0.7)[: 16000 * 2 // 3], rate_hz=16000)
    expected = {}
    for fmt in ("wav", "flac", "mp3"):
        result = convert(settings, low, format=fmt, out=str(settings.workspace / f"out.{fmt}"))
        expected[fmt] = result["duration_s"]
        with av.open(result["output"]) as file:
            assert file.streams.audio[0].rate == RATE_HZ
    audio, _ = read_wav(settings.workspace / "out.wav")
    assert abs(audio.size - round(16000 * 2 // 3 * RATE_HZ / 16000)) <= 1
    assert audio.size == round(expected["wav"] * RATE_HZ)


def test_silence_stays_silence_and_is_told(settings: Settings, voice: Voice) -> None:
    source = write_clip(settings.workspace / "nothing.wav", np.zeros(RATE_HZ))
    result = convert(settings, source)
    audio, _ = read_wav(result["output"])
    assert audio.size == RATE_HZ
    assert np.abs(audio).max() == 0
    assert "silent" in result["warnings"][0]


def test_a_tenth_of_a_second(settings: Settings, voice: Voice) -> None:
    source = write_clip(settings.workspace / "short.wav", sung_vowel(0.1) + 0.1)
    audio, _ = read_wav(convert(settings, source)["output"])
    assert audio.size == int(0.1 * RATE_HZ)


def test_cancel_leaves_nothing(settings: Settings, voice: Voice) -> None:
    source = song(settings.workspace)
    ctx = ForegroundContext(settings, lambda fraction, message: message.startswith("slice 2") and ctx.request_cancel())
    with pytest.raises(Cancelled):
        run_convert({"voice": "歌手", "source": str(source), "pitch": "dio", "max_slice_s": 2}, ctx)
    assert not settings.outputs.exists() or not list(settings.outputs.iterdir())
    assert not list(settings.cache_dir.glob("convert-*"))


def test_what_cannot_be_done_is_said(settings: Settings, voice: Voice) -> None:
    source = write_clip(settings.workspace / "s.wav", sung_vowel(0.5))
    text = settings.workspace / "text.wav"
    text.write_text("no audio")
    for params, error, words in [
        ({"source": str(source) + "x"}, BadInput, "no file"),
        ({"source": str(text)}, BadInput, "text.wav"),
        ({"model": "other"}, NotFound, "no model"),
        ({"model": "../../x"}, BadInput, "outside"),
        ({"speaker": "nobody"}, BadInput, "tester"),
        ({"out": str(source)}, BadInput, "replace"),
        ({"out": str(source) + ".flac"}, BadInput, "format"),
        ({"out": str(settings.workspace)}, BadInput, "folder"),
        ({"pitch": "none"}, BadInput, "pitch"),
        ({"noise_scal": 1}, BadInput, "noise_scal"),
        ({"transpose": "up"}, BadInput, "transpose"),
    ]:
        with pytest.raises(error, match=words):
            convert(settings, **{"source": source, **params})
    (voice.models / "random" / "card.json").write_text(json.dumps({"encoder": "bands", "encoder_fingerprint": "old"}))
    with pytest.raises(Conflict, match="another version"):
        convert(settings, source)


def test_models_are_found_strictly(settings: Settings, voice: Voice) -> None:
    folder = export_random(voice, name="newer")
    card = folder / "card.json"
    card.write_text(json.dumps({**read_card(folder), "created": 2.0}))
    assert voice_models(voice.models)[0] == folder == find_model(voice, None)
    assert load_model(folder).generator.training is False
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    with pytest.raises(ModelFileError):
        load_model(folder)
    with pytest.raises(NotFound):
        read_card(voice.models)


def test_exporting_again_replaces_the_model(voice: Voice) -> None:
    folder = voice.models / "random"
    model = load_model(folder)
    with torch.no_grad():
        model.generator.emb_g.weight.fill_(5.0)
    export_model(folder, model.generator, voice.path / "config.json", {"step": 9})
    assert read_card(folder)["step"] == 9
    assert torch.all(load_model(folder).generator.emb_g.weight == 5.0)
    assert [p.name for p in voice.models.iterdir()] == ["random"]


# ---- cutting and joining


@given(
    lengths=st.lists(st.integers(1, 4000), min_size=1, max_size=8),
    silent=st.lists(st.booleans(), min_size=8, max_size=8),
    fade=st.integers(1, 40),
)
def test_pieces_that_are_their_source_join_to_their_source(lengths: list[int], silent: list[bool], fade: int) -> None:
    total = sum(lengths)
    source = np.random.default_rng(total).standard_normal(total).astype(np.float32)
    borders = np.cumsum([0, *lengths])
    out = np.zeros(total, np.float32)
    lead = 50
    padded = np.pad(source, lead)
    pieces = [Piece(int(a), int(b), s) for a, b, s in zip(borders[:-1], borders[1:], silent, strict=False)]
    for piece in pieces:
        if not piece.silent:
            add_piece(out, piece, padded[piece.start : piece.end + 2 * lead], lead, 2 * fade)
    inner = np.zeros(total, bool)  # away from borders with silence
    for piece in pieces:
        inner[piece.start : piece.end] = not piece.silent
    edges = np.zeros(total, bool)
    for piece in pieces:
        for border in (piece.start, piece.end):
            edges[max(0, border - fade) : border + fade] = True
    assert np.allclose(out[inner & ~edges], source[inner & ~edges], atol=1e-5)
    if not any(piece.silent for piece in pieces):
        assert np.allclose(out, source, atol=1e-5)
    assert np.abs(out[~inner & ~edges]).max(initial=0) == 0
    assert np.all(np.abs(out) <= np.abs(source) + 1e-5)


@given(
    seconds=st.lists(st.floats(0.2, 40), min_size=1, max_size=5),
    longest=st.integers(2000, 9000),
    seed=st.integers(0, 9),
)
def test_no_piece_is_too_long_and_none_is_lost(seconds: list[float], longest: int, seed: int) -> None:
    borders = np.cumsum([0, *[int(s * 1000) for s in seconds]])
    chunks = [Chunk(int(a), int(b), i % 2 == 1) for i, (a, b) in enumerate(itertools.pairwise(borders))]
    rms = np.random.default_rng(seed).random(int(borders[-1]) // 20 + 1)
    pieces = pieces_of(chunks, rms, 20, longest)
    assert [p.start for p in pieces] == [0, *[p.end for p in pieces[:-1]]]
    assert pieces[-1].end == borders[-1]
    assert all(p.silent or 0 < p.end - p.start <= longest for p in pieces)


def test_a_long_passage_is_cut_where_it_is_quietest() -> None:
    rms = np.ones(1000)
    rms[450] = 0.1
    pieces = pieces_of([Chunk(0, 9000, False)], rms, 10, 5000)
    assert [p.end for p in pieces] == [4500, 9000]


def test_loudness_envelope_is_upstreams(shared_dir: Path) -> None:
    cases = np.load(shared_dir / "fixtures" / "sovits" / "loudness_envelope.npz")
    for name in (n for n in cases if n.startswith("rate_")):
        out = cases["out_before"].copy()
        follow_loudness(out, cases["src"], 44100, float(name.removeprefix("rate_")))
        assert np.allclose(out, cases[name], atol=2e-6), name


def test_peaks_are_limited_part_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(join, "LONGEST_LIMIT_S", 0.5)
    tone = (1.4 * np.sin(np.arange(2 * RATE_HZ) / 50) * np.linspace(0, 1, 2 * RATE_HZ)).astype(np.float32)
    out = tone.copy()
    assert limit_peaks(out, RATE_HZ)
    assert np.abs(out).max() <= 1.0
    assert np.array_equal(out[: RATE_HZ // 2], tone[: RATE_HZ // 2])  # quiet parts are not touched
    assert np.abs(np.diff(out, 2)).max() < 2 * np.abs(np.diff(tone, 2)).max()
    assert not limit_peaks(out[: RATE_HZ // 2], RATE_HZ)


def test_suggestions() -> None:
    assert suggest_transpose(110.0, 220.0) == 12
    assert suggest_transpose(220.0, 207.65) == -1
    assert suggest_transpose(None, 220.0) == suggest_transpose(220.0, None) == 0
    assert parse_options({"voice": "v", "source": "s", "model": ""}).model is None
