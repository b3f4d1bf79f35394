"""Sound as bytes, fed in pieces of any size."""

import io

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.audio.encode import to_int16
from core.service.formats import FORMATS, MEDIA, encoder, rate_for

TONE = (0.3 * np.sin(2 * np.pi * 440 * np.arange(48000) / 48000)).astype(np.float32)


@settings(max_examples=15)
@given(st.lists(st.integers(0, 9000), max_size=12))
def test_pieces_add_up_to_the_whole(cuts: list[int]) -> None:
    whole = encoder("stream", 48000).feed(TONE)
    out, at, data = encoder("stream", 48000), 0, b""
    for cut in cuts:
        data += out.feed(TONE[at : at + cut])
        at += cut
    data += out.feed(TONE[at:]) + out.finish()
    assert data == whole
    assert data[44:] == to_int16(TONE).astype("<i2").tobytes()


@pytest.mark.parametrize("fmt", ["flac", "mp3", "opus", "aac"])
def test_compressed_streams_hold_the_tone(fmt: str) -> None:
    out = encoder(fmt, rate_for(fmt, 48000))
    data = b"".join(out.feed(TONE[i : i + 1000]) for i in range(0, TONE.size, 1000)) + out.finish()
    with av.open(io.BytesIO(data)) as container:
        sound = np.concatenate([frame.to_ndarray().astype(float).reshape(-1) for frame in container.decode(audio=0)])
    middle = sound[12000:36000]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(middle.size)))
    assert abs(int(np.argmax(spectrum)) * 48000 / middle.size - 440) < 4
    assert sound.size == pytest.approx(48000, abs=3000)


def test_rates_are_those_that_a_format_has() -> None:
    assert rate_for("opus", 22050) == rate_for("opus", 96000) == 48000
    assert [rate_for("mp3", rate) for rate in (16000, 44100, 48000, 96000)] == [32000, 44100, 48000, 48000]
    assert rate_for("flac", 22050) == 22050
    assert set(MEDIA) == set(FORMATS)
