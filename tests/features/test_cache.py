"""Features on disk: found by content, whole or made again, resumable, cancellable."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import BadInput, Cancelled, Conflict, ModelFileError
from core.features import cache, pitch
from core.features.cache import FeatureSpec, extract, features_of, load, path_of, spec_of
from core.features.encoders.hubert import HubertEncoder
from core.features.volume import volume
from tests.features.tones import glide, voice

RATE_HZ = 44100
Writer = Callable[[Path, np.ndarray, int], Path]


class Watcher:
    """A job context that records progress and cancels after ``limit`` reports."""

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.seen: list[float] = []

    def progress(self, fraction: float, message: str = "") -> None:
        self.seen.append(fraction)
        if self.limit is not None and len(self.seen) >= self.limit:
            raise Cancelled("Stopped.")

    def check(self) -> None:
        if self.limit == 0:
            raise Cancelled("Stopped.")


@pytest.fixture(scope="module")
def encoder(contentvec_folder: Path) -> HubertEncoder:
    return HubertEncoder(contentvec_folder, "vec256l9")


@pytest.fixture(scope="module")
def spec(encoder: HubertEncoder) -> FeatureSpec:
    return spec_of(encoder, "pm")


@pytest.fixture
def clips(tmp_path: Path, write_wav: Writer) -> list[Path]:
    kinds = ("chirp", "fall", "vibrato", "low", "high")
    return [
        write_wav(tmp_path / "声 音" / f"{kind}.wav", voice(glide(kind, 0.4 + 0.1 * i, RATE_HZ), RATE_HZ), RATE_HZ)
        for i, kind in enumerate(kinds)
    ]


def test_what_lies_in_the_cache_is_what_conversion_computes(
    clips: list[Path], spec: FeatureSpec, encoder: HubertEncoder, tmp_path: Path
) -> None:
    from core.audio.decode import load as load_audio

    paths = extract(clips, spec, tmp_path / "cache", encoder=encoder, workers=2)
    assert len(set(paths)) == len(clips)
    for clip, path in zip(clips, paths, strict=True):
        wav = load_audio(clip, RATE_HZ)
        got, want = load(path), features_of(wav, spec, encoder, pitch.create("pm"))
        assert got.n_frames == wav.size // 512
        assert got.units.dtype == torch.float32
        torch.testing.assert_close(got.units, want.units, rtol=1e-3, atol=1e-3)
        np.testing.assert_array_equal(got.f0, want.f0)
        np.testing.assert_array_equal(got.volume, volume(wav))
        assert abs(got.units.shape[0] - wav.size / RATE_HZ * 50) < 2


def test_the_number_of_workers_does_not_change_a_bit(
    clips: list[Path], spec: FeatureSpec, encoder: HubertEncoder, tmp_path: Path
) -> None:
    before = torch.get_num_threads()
    one = extract(clips, spec, tmp_path / "one", encoder=encoder, workers=1)
    three = extract(clips, spec, tmp_path / "three", encoder=encoder, workers=3)
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in three]
    assert torch.get_num_threads() == before


def test_a_second_run_computes_nothing(
    clips: list[Path], spec: FeatureSpec, encoder: HubertEncoder, tmp_path: Path
) -> None:
    paths = extract(clips, spec, tmp_path / "cache", encoder=encoder)
    stamps = [path.stat().st_mtime_ns for path in paths]
    # Without an encoder a computation would have to build one, which the spec's made-up name forbids.
    assert extract(clips, spec, tmp_path / "cache") == paths
    assert [path.stat().st_mtime_ns for path in paths] == stamps


def test_equal_content_is_computed_once_and_follows_a_renamed_file(
    clips: list[Path], spec: FeatureSpec, encoder: HubertEncoder, tmp_path: Path
) -> None:
    copy = clips[0].with_name("copy.wav")
    shutil.copy(clips[0], copy)
    first, second = extract([clips[0], copy], spec, tmp_path / "cache", encoder=encoder)
    assert first == second
    copy.rename(copy.with_name("renamed.wav"))
    assert extract([copy.with_name("renamed.wav")], spec, tmp_path / "cache") == [first]


def test_a_changed_clip_never_meets_old_features(
    clips: list[Path], spec: FeatureSpec, encoder: HubertEncoder, tmp_path: Path, write_wav: Writer
) -> None:
    (before,) = extract(clips[:1], spec, tmp_path / "cache", encoder=encoder)
    write_wav(clips[0], voice(glide("fall", 1.0, RATE_HZ), RATE_HZ), RATE_HZ)
    (after,) = extract(clips[:1], spec, tmp_path / "cache", encoder=encoder)
    assert after != before
    assert load(after).n_frames == RATE_HZ // 512 != load(before).n_frames


def test_a_clip_that_changes_while_it_is_read_is_refused(
    clips: list[Path], spec: FeatureSpec, encoder: HubertEncoder, tmp_path: Path, write_wav: Writer
) -> None:
    class Meddler(pitch.PitchPredictor):
        """Rewrites the clip in the middle of its extraction."""

        name = "pm"

        def _track(self, wav16k: np.ndarray, at_s: np.ndarray) -> np.ndarray:
            write_wav(clips[0], np.zeros(RATE_HZ, np.float32), RATE_HZ)
            return np.zeros(at_s.size, np.float32)

    worker = cache._Worker(spec, tmp_path / "cache", encoder, Meddler())
    with pytest.raises(Conflict, match="changed"):
        worker(clips[0], cache.file_sha256(clips[0]))
    assert not list((tmp_path / "cache").rglob("*.safetensors"))


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "foreign"])
def test_a_damaged_file_is_found_and_made_again(
    damage: str, clips: list[Path], spec: FeatureSpec, encoder: HubertEncoder, tmp_path: Path
) -> None:
    paths = extract(clips[:2], spec, tmp_path / "cache", encoder=encoder)
    good = paths[0].read_bytes()
    if damage == "cut":
        paths[0].write_bytes(good[:-40])
    elif damage == "flip":
        paths[0].write_bytes(good[:-40] + bytes([good[-40] ^ 1]) + good[-39:])
    elif damage == "empty":
        paths[0].write_bytes(b"")
    else:
        from safetensors.torch import save_file

        save_file({"other": torch.zeros(2)}, paths[0])
    with pytest.raises(ModelFileError):
        load(paths[0])
    untouched = paths[1].stat().st_mtime_ns
    assert extract(clips[:2], spec, tmp_path / "cache", encoder=encoder) == paths
    assert paths[0].read_bytes() == good
    assert paths[1].stat().st_mtime_ns == untouched


def test_features_under_another_clips_name_are_made_again(
    clips: list[Path], spec: FeatureSpec, encoder: HubertEncoder, tmp_path: Path
) -> None:
    """A whole file in the wrong place, as a careless copy leaves it."""
    paths = extract(clips[:2], spec, tmp_path / "cache", encoder=encoder)
    good = paths[0].read_bytes()
    shutil.copy(paths[1], paths[0])
    extract(clips[:2], spec, tmp_path / "cache", encoder=encoder)
    assert paths[0].read_bytes() == good


def test_cancel_leaves_whole_files_and_the_next_run_goes_on(
    clips: list[Path], spec: FeatureSpec, encoder: HubertEncoder, tmp_path: Path
) -> None:
    root = tmp_path / "cache"
    with pytest.raises(Cancelled):
        extract(clips, spec, root, encoder=encoder, workers=1, ctx=Watcher(limit=2))
    done = list(root.rglob("*.safetensors"))
    assert 2 <= len(done) < len(clips)
    assert not [path for path in root.rglob("*") if path.name.startswith(".tmp")]
    for path in done:
        load(path)
    watcher = Watcher()
    paths = extract(clips, spec, root, encoder=encoder, workers=1, ctx=watcher)
    assert 1 <= len(watcher.seen) <= len(clips) - len(done), "what is there is not computed again"
    assert watcher.seen == sorted(watcher.seen)
    assert watcher.seen[-1] == 1.0
    assert set(done) <= set(paths)


def test_cancel_before_the_first_clip(
    clips: list[Path], spec: FeatureSpec, encoder: HubertEncoder, tmp_path: Path
) -> None:
    with pytest.raises(Cancelled):
        extract(clips, spec, tmp_path / "cache", encoder=encoder, ctx=Watcher(limit=0))
    assert not list(tmp_path.joinpath("cache").rglob("*.safetensors"))


def test_a_clip_that_is_no_audio_is_named(
    clips: list[Path], spec: FeatureSpec, encoder: HubertEncoder, tmp_path: Path
) -> None:
    bad = clips[0].with_name("bad.wav")
    bad.write_bytes(b"this is no audio at all" * 100)
    with pytest.raises(BadInput) as caught:
        extract([clips[0], bad], spec, tmp_path / "cache", encoder=encoder)
    assert "bad.wav" in caught.value.message + caught.value.where


def test_specs_do_not_share_files(clips: list[Path], spec: FeatureSpec, encoder: HubertEncoder, tmp_path: Path) -> None:
    other = replace(spec, pitch="fcpe")
    assert len({spec.key, other.key, replace(spec, hop=441).key, replace(spec, encoder_fingerprint="x").key}) == 4
    (one,) = extract(clips[:1], spec, tmp_path / "cache", encoder=encoder)
    (two,) = extract(clips[:1], other, tmp_path / "cache", encoder=encoder)
    assert one.name == two.name
    assert one.parent != two.parent
    assert json.loads((two.parent / "spec.json").read_text())["pitch"] == "fcpe"
    assert path_of(tmp_path / "cache", other, one.stem) == two


def test_an_encoder_of_another_fingerprint_is_refused(spec: FeatureSpec, encoder: HubertEncoder) -> None:
    with pytest.raises(Conflict, match="vec256l9"):
        features_of(np.zeros(1000, np.float32), replace(spec, encoder_fingerprint="0"), encoder, pitch.create("pm"))


@pytest.mark.parametrize("n_samples", [0, 1, 300, 511, 512, 1500])
def test_short_audio_has_features_of_its_length(n_samples: int, spec: FeatureSpec, encoder: HubertEncoder) -> None:
    wav = voice(glide("vibrato", 0.1, RATE_HZ), RATE_HZ)[:n_samples]
    features = features_of(wav, spec, encoder, pitch.create("pm"))
    assert features.n_frames == features.volume.shape[0] == n_samples // 512
    assert features.units.shape[1] == encoder.dim
    assert (features.units.shape[0] > 0) == (n_samples > 0)


def test_no_clips_no_work(spec: FeatureSpec, tmp_path: Path) -> None:
    assert extract([], spec, tmp_path / "cache") == []


def test_cancel_does_not_wait_for_a_slow_clip(encoder: HubertEncoder, tmp_path: Path, write_wav: Writer) -> None:
    """crepe needs many seconds for a long clip; a cancel ends it between two batches of frames."""
    clip = write_wav(tmp_path / "long.wav", voice(glide("vibrato", 30.0, 16000), 16000), 16000)

    class Soon(Watcher):
        def check(self) -> None:  # asked for the first time half a second after the start
            raise Cancelled("Stopped.")

    slow = pitch.create("crepe")
    counted = 0
    salience = slow._salience  # type: ignore[attr-defined]

    def counting(*args: np.ndarray) -> np.ndarray:
        nonlocal counted
        counted += 1
        return salience(*args)

    slow._salience = counting  # type: ignore[attr-defined]
    worker = cache._Worker(spec_of(encoder, "crepe"), tmp_path / "cache", encoder, slow)
    with pytest.raises(Cancelled):
        cache._run(worker, {cache.file_sha256(clip): clip}, 1, Soon(), 1)
    assert 1 <= counted < 30, "41 batches make the whole clip"
    assert not list((tmp_path / "cache").rglob("*"))
