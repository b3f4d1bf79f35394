"""Every container that people bring is read, and every file that cannot be read says why."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.audio import container as container_module
from core.audio.decode import load, probe, stream
from core.audio.encode import wav_bytes
from core.errors import BadInput
from tests.audio.media import KINDS, tone, write_encrypted_mp4, write_media

RATE = 44100


@pytest.mark.parametrize("ending", sorted(KINDS))
def test_reads_every_container(tmp_path: Path, ending: str) -> None:
    rate = 48000 if KINDS[ending][1] == "libopus" else RATE
    layout = "stereo" if KINDS[ending][1] == "vorbis" else "mono"
    x = tone(2.0, rate)
    path = write_media(tmp_path / f"a.{ending}", np.stack([x, x]) if layout == "stereo" else x, rate, layout=layout)
    info = probe(path)
    assert info.rate_hz == rate
    assert info.channels == (2 if layout == "stereo" else 1)
    assert info.duration_s is None or abs(info.duration_s - 2.0) < 0.2
    notes: list[str] = []
    y = load(path, RATE, warnings=notes)
    assert notes == []
    assert y.dtype == np.float32
    assert abs(y.size - 2 * RATE) < 0.06 * RATE  # lossy codecs pad
    middle = y[RATE // 2 : RATE]
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.3 / np.sqrt(2), rel=0.05)
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(middle.size)))
    assert np.argmax(spectrum) * RATE / middle.size == pytest.approx(220, abs=3)


def test_blocks_are_exact_and_join_to_the_whole(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.flac", tone(3.3, 48000), 48000)
    blocks = list(stream(path, RATE, block_s=0.5))
    assert {block.size for block in blocks[:-1]} == {RATE // 2}
    assert 0 < blocks[-1].size <= RATE // 2
    whole = np.concatenate(blocks)
    assert abs(whole.size - 3.3 * RATE) <= 2
    assert np.array_equal(whole, np.concatenate(list(stream(path, RATE, block_s=7.0))))


def test_native_rate_and_first_seconds(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.wav", tone(2.0, 22050), 22050)
    assert load(path).size == 2 * 22050
    assert load(path, None, max_s=0.5).size == 11025
    assert load(path, 16000, max_s=0.5).size == 8000


@pytest.mark.parametrize("rate", [8000, 11025, 96000, 192000])
def test_low_and_high_rates(tmp_path: Path, rate: int) -> None:
    y = load(write_media(tmp_path / "a.wav", tone(1.0, rate), rate), RATE)
    assert abs(y.size - RATE) <= 2
    assert np.abs(y[2000:-2000] - tone(1.0)[2000:-2000][: y.size - 4000]).max() < 2e-3


def test_seven_point_one_is_mixed_without_the_bass_channel(tmp_path: Path) -> None:
    channels = np.zeros((8, RATE), np.float32)
    channels[2] = tone(1.0)  # FC
    channels[3] = tone(1.0, hz=40.0, level=0.9)  # LFE
    path = write_media(tmp_path / "a.wav", channels, layout="7.1")
    assert probe(path).channels == 8
    y = load(path, RATE)
    assert np.abs(y - tone(1.0) / 7).max() < 1e-3


@pytest.mark.parametrize(("codec", "fmt"), [("pcm_u8", "u8"), ("pcm_s32le", "s32"), ("pcm_f32le", "flt")])
def test_sample_formats_have_one_scale(tmp_path: Path, codec: str, fmt: str) -> None:
    y = load(write_media(tmp_path / "a.wav", tone(0.5), codec=codec, sample_format=fmt), RATE)
    assert np.abs(y - tone(0.5)).max() < (1e-2 if fmt == "u8" else 1e-4)


class TestStereo:
    LEFT, RIGHT = tone(0.5, hz=220.0), tone(0.5, hz=500.0)

    def read(self, path: Path, **options: int) -> np.ndarray:
        return np.concatenate(list(stream(path, stereo=True, block_s=0.1, **options)))

    @pytest.mark.parametrize("kind", ["wav", "flac"])
    def test_sides_stay_apart(self, tmp_path: Path, kind: str) -> None:
        path = tmp_path / f"a.{kind}"
        write_media(path, np.stack([self.LEFT, self.RIGHT]), layout="stereo")
        found = self.read(path)
        assert np.allclose(found, np.stack([self.LEFT, self.RIGHT], axis=1), atol=2e-4)

    def test_channels_without_names_are_sides_too(self, tmp_path: Path) -> None:
        path = tmp_path / "a.wav"
        soundfile.write(path, np.stack([self.LEFT, self.RIGHT], axis=1), 44100, "PCM_24")  # names no channels
        assert np.allclose(self.read(path), np.stack([self.LEFT, self.RIGHT], axis=1), atol=1e-5)

    def test_one_channel_is_both_sides(self, tmp_path: Path) -> None:
        path = tmp_path / "a.wav"
        write_media(path, self.LEFT)
        assert np.allclose(self.read(path), np.stack([self.LEFT, self.LEFT], axis=1), atol=2e-4)

    def test_the_middle_is_on_both_sides_and_the_bass_on_none(self, tmp_path: Path) -> None:
        path = tmp_path / "a.wav"
        silent = np.zeros_like(self.LEFT)
        write_media(path, np.stack([self.LEFT, silent, self.RIGHT, self.LEFT, silent, silent]), layout="5.1")
        found = self.read(path)
        assert np.allclose(found[:, 0], (self.LEFT + self.RIGHT) / 3, atol=2e-4)
        assert np.allclose(found[:, 1], self.RIGHT / 3, atol=2e-4)

    def test_at_another_rate(self, tmp_path: Path) -> None:
        path = tmp_path / "a.wav"
        write_media(path, np.stack([self.LEFT, self.RIGHT]), layout="stereo")
        found = self.read(path, rate_hz=16000)
        assert found.shape == (8000, 2)
        assert np.allclose(found[1000:-1000, 1], tone(0.5, 16000, 500.0)[1000:-1000], atol=2e-3)


def test_floats_that_are_no_numbers_become_silence_with_a_word(tmp_path: Path) -> None:
    x = tone(0.5)
    x[100:110] = np.nan
    x[200] = np.inf
    notes: list[str] = []
    y = load(write_media(tmp_path / "a.wav", x, codec="pcm_f32le", sample_format="flt"), RATE, warnings=notes)
    assert np.isfinite(y).all()
    assert "11 samples" in notes[0]


def test_channels_that_cancel_are_named(tmp_path: Path) -> None:
    notes: list[str] = []
    load(write_media(tmp_path / "a.wav", np.stack([tone(0.5), -tone(0.5)]), layout="stereo"), RATE, warnings=notes)
    assert "cancel" in notes[0]


@pytest.mark.parametrize("ending", ["wav", "flac", "mp3", "ogg", "mkv", "webm"])
def test_a_truncated_file_gives_what_it_has_and_says_so(tmp_path: Path, ending: str) -> None:
    rate = 48000 if ending == "webm" else RATE
    rng = np.random.default_rng(0)
    x = (tone(6.0, rate) + 0.05 * rng.standard_normal(6 * rate)).astype(np.float32)
    stereo = ending == "ogg"
    layout = "stereo" if stereo else "mono"
    path = write_media(tmp_path / f"a.{ending}", np.stack([x, x]) if stereo else x, rate, layout=layout)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    notes: list[str] = []
    y = load(path, RATE, warnings=notes)
    assert 2 * RATE < y.size < 5 * RATE
    if ending != "ogg":  # Ogg keeps its length at its end only
        assert any("cut off" in note and "again" in note for note in notes), notes


def refused(path: Path) -> BadInput:
    with pytest.raises(BadInput) as caught:
        probe(path)
    with pytest.raises(BadInput):
        load(path, RATE)
    assert path.name in caught.value.message
    assert caught.value.hint
    assert caught.value.where == str(path)
    return caught.value


def test_zero_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    assert "0 bytes" in refused(tmp_path / "a.wav").message


def test_header_without_sound(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav_bytes(np.zeros(0, np.float32), RATE))
    assert "no sound" in refused(tmp_path / "a.wav").message


@pytest.mark.parametrize("name", ["a.mp3", "notes.txt", "a.wav"])
def test_text_is_not_audio(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("These are words, not sounds.\n" * 200)
    assert "not an audio" in refused(tmp_path / name).message


def test_a_picture_is_not_audio(tmp_path: Path) -> None:
    import av

    with av.open(f"file:{tmp_path / 'a.mp4'}", "w", format="mp4") as out:
        track = out.add_stream("mpeg4", rate=5)
        track.width = track.height = 32
        track.pix_fmt = "yuv420p"
        out.mux(track.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
        out.mux(track.encode(None))
    assert "without sound" in refused(tmp_path / "a.mp4").message
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(500))
    assert "not an audio" in refused(tmp_path / "a.png").message


def test_a_cut_m4a_has_lost_its_index(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.m4a", tone(4.0))
    path.write_bytes(path.read_bytes()[:8000])
    error = refused(path)
    assert "damaged or incomplete MP4/M4A" in error.message
    assert "again" in error.hint


def test_protected_mp4_is_called_protected(tmp_path: Path) -> None:
    error = refused(write_encrypted_mp4(tmp_path / "song.m4a"))
    assert "DRM" in error.message
    assert "protection" in error.hint


def test_other_protections(tmp_path: Path) -> None:
    wma = write_media(tmp_path / "a.wma", tone(1.0))
    assert not container_module.protected(wma)
    data = wma.read_bytes()
    wma.write_bytes(data[:200] + bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e") + data[216:])
    assert "DRM" in refused(wma).message
    (tmp_path / "book.aa").write_bytes(struct.pack(">I", 5000) + b"\x57\x90\x75\x36" + bytes(5000))
    assert "DRM" in refused(tmp_path / "book.aa").message


def test_missing_folder_and_unreadable(tmp_path: Path) -> None:
    assert "cannot be found" in refused(tmp_path / "gone.wav").message
    (tmp_path / "folder.wav").mkdir()
    assert "folder" in refused(tmp_path / "folder.wav").message


def test_a_playlist_opens_nothing_else(tmp_path: Path) -> None:
    real = write_media(tmp_path / "secret.wav", tone(1.0))
    lists = {
        "a.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nfile:{real}\n#EXT-X-ENDLIST\n",
        "a.ffconcat": f"ffconcat version 1.0\nfile '{real.name}'\n",
        "a.wav": f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{real}\n#EXT-X-ENDLIST\n",
    }
    for name, text in lists.items():
        target = tmp_path / "lists" / name
        target.parent.mkdir(exist_ok=True)
        target.write_text(text)
        refused(target)


@pytest.mark.parametrize(
    "name", ['quote\'s "x".wav', "声音 😀.wav", "100%d.wav", "http:x.wav", "concat:a|b.wav", "a\nb.wav"]
)
@pytest.mark.skipif(os.name == "nt", reason="Windows allows none of these")
def test_names_are_only_names(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(wav_bytes(tone(0.2), RATE))
    assert probe(path).rate_hz == RATE
    assert load(path, RATE).size == round(0.2 * RATE)


def test_255_byte_name(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 125 + "x.wav")
    path.write_bytes(wav_bytes(tone(0.2), RATE))
    assert load(path, RATE).size == round(0.2 * RATE)


def test_too_long_is_refused_while_streaming(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.wav", tone(4.0, 8000), 8000)
    with pytest.raises(BadInput, match="longer than"):
        load_limited(path, 3.0 / 3600)
    assert load_limited(path, 5.0 / 3600) > 0


def load_limited(path: Path, hours: float) -> int:
    return sum(block.size for block in stream(path, 8000, block_s=0.5, max_hours=hours))


@pytest.fixture(scope="module")
def small_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("small")
    x = tone(0.3, 48000)
    kinds = [ending for ending in KINDS if KINDS[ending][1] != "vorbis"]
    return {ending: write_media(folder / f"a.{ending}", x, 48000).read_bytes() for ending in kinds}


@given(st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_damage_gives_sound_or_words(tmp_path: Path, small_files: dict[str, bytes], data: st.DataObject) -> None:
    ending = data.draw(st.sampled_from(sorted(small_files)))
    content = bytearray(small_files[ending])
    head = min(400, len(content))
    places = st.one_of(st.integers(0, head - 1), st.integers(0, len(content) - 1))
    for place, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=20)):
        content[place] = value
    path = tmp_path / f"x.{ending}"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        audio = load(path, 16000)
    except BadInput as err:
        hint = err.hint
        assert hint
        return
    assert np.isfinite(audio).all()


def test_a_codec_that_nobody_knows(tmp_path: Path) -> None:
    data = bytearray(wav_bytes(tone(0.2), RATE))
    data[20:22] = b"\x99\x9a"  # the format tag
    (tmp_path / "a.wav").write_bytes(data)
    assert "unknown kind" in refused(tmp_path / "a.wav").message
