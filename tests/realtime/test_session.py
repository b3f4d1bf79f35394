"""A live session with a real voice model: the same as conversion offline, at any rate, and its figures."""

from pathlib import Path

import numpy as np
import pytest

from core.audio.encode import read_wav, write_audio
from core.audio.resample import resample
from core.dataset.voices import Voice, VoiceStore
from core.engines.sovits.config import HOP
from core.engines.sovits.convert import open_tools, run_convert
from core.engines.sovits.convert_options import ConvertOptions
from core.engines.sovits.join import Piece
from core.engines.sovits.render import _render
from core.errors import NotFound
from core.jobs.context import ForegroundContext
from core.realtime.blocks import RATE_HZ, Plan, Samples
from core.realtime.options import RealtimeOptions
from core.realtime.session import LiveSession, open_render, render_of
from core.settings import Settings, load_settings
from tests.training.material import export_random, register_encoder, sung_vowel

LIVE = RealtimeOptions(voice="歌手", pitch="dio", block_s=0.2, context_s=0.5, warm_up_s=0.5, gate_db=-100.0)


@pytest.fixture
def settings(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    register_encoder(monkeypatch)
    return load_settings({"workspace": workspace, "device": "cpu", "threads": 1}, env={})


@pytest.fixture
def voice(settings: Settings) -> Voice:
    made = VoiceStore(settings.voices_dir).create("歌手")
    export_random(made)
    return made


def streamed(session: LiveSession, sound: Samples, size: int) -> Samples:
    return np.concatenate([session.push(sound[at : at + size]) for at in range(0, sound.size, size)])


@pytest.mark.usefixtures("voice")
@pytest.mark.parametrize("family", ["lite", "standard"])
def test_a_block_is_what_offline_conversion_makes_of_the_same_sound(
    settings: Settings, voice: Voice, family: str
) -> None:
    """The same second of a recording with the same context on both sides, live and as a piece of a conversion."""
    export_random(voice, family, "again")
    chosen = ConvertOptions(voice="歌手", source="-", model="again", pitch="dio", pad_s=0.45)
    tools = open_tools(chosen, ForegroundContext(settings))
    sound = sung_vowel(2.0)
    context = 43 * HOP
    chosen = chosen.model_copy(update={"pad_s": context / RATE_HZ - 0.05})
    plan = Plan(20 * HOP, context, context, 1000, 400, context - 1400)
    assert plan.wait == context
    start = 2 * plan.block + context
    live = render_of(chosen, tools, LIVE)(sound[start - context : start + plan.block + plan.wait], 0, 7)
    piece = Piece(start, start + plan.block, False)
    offline, lead, _ = _render(chosen, tools, sound, piece, 0.0, LIVE.seed + 7)
    assert lead == context
    assert np.abs(live).max() > 1e-3
    np.testing.assert_allclose(live, offline, atol=1e-5)
    # Rendering less of the past gives the same block but for what the past's render rang on.
    less = render_of(chosen, tools, LIVE)(sound[start - context : start + plan.block + plan.wait], 20, 7)
    assert less.size == live.size - 20 * HOP


@pytest.mark.usefixtures("voice")
def test_live_sound_follows_the_conversion_of_the_whole_file(settings: Settings, tmp_path: Path) -> None:
    source = write_audio(tmp_path / "s.wav", sung_vowel(3.0), RATE_HZ)
    params = {"voice": "歌手", "source": str(source), "pitch": "dio", "out": str(tmp_path / "o.wav")}
    whole = read_wav(run_convert(params, ForegroundContext(settings))["output"])[0]
    live = streamed(LiveSession(open_render(LIVE, settings), LIVE), read_wav(source)[0], 4410)
    assert live.size > 2.4 * RATE_HZ
    difference = mel_db(live) - mel_db(whole[: live.size])
    loud = mel_db(whole[: live.size]) > -60
    assert np.abs(difference[loud]).mean() < 2.0  # dB


def mel_db(x: Samples) -> np.ndarray:
    """Levels in 32 bands every 512 samples, dB."""
    frames = np.lib.stride_tricks.sliding_window_view(x, 2048)[::512] * np.hanning(2048)
    power = np.square(np.abs(np.fft.rfft(frames)))[:, : 32 * 16]
    return np.asarray(10 * np.log10(power.reshape(-1, 32, 16).mean(axis=2) / 2048 + 1e-9))


@pytest.mark.usefixtures("voice")
def test_another_rate_goes_in_and_comes_out(settings: Settings) -> None:
    render = open_render(LIVE, settings)
    sound = sung_vowel(2.0)
    usual = streamed(LiveSession(render, LIVE), sound, 3000)
    session = LiveSession(render, LIVE, 48000)
    other = streamed(session, resample(sound, RATE_HZ, 48000), 960)
    assert abs(other.size / 48000 - usual.size / RATE_HZ) < 0.25
    n = min(other.size * 441 // 480, usual.size) - 3000
    levels = [
        np.sqrt(np.convolve(x[:n] ** 2, np.ones(2048) / 2048, "same")) for x in (resample(other, 48000, RATE_HZ), usual)
    ]
    assert np.corrcoef(*levels)[0, 1] > 0.9
    standing = session.standing
    assert standing.blocks == pytest.approx(9, abs=1)
    assert standing.rtf > 0
    assert standing.latency_ms >= 1000 * session.plan.latency_s


def test_a_voice_that_is_not_there(settings: Settings) -> None:
    with pytest.raises(NotFound):
        open_render(RealtimeOptions(voice="nobody"), settings)
