"""Pieces of clips are what the whole would give, and reading them takes no more memory than they need."""

import os
import wave
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.engines.sovits.clips import RATE_HZ, Clip, ClipStore, Example
from core.engines.sovits.dataset import TrainingSet
from core.engines.sovits.recipe import HOP, SegmentPlan
from core.errors import BadInput, ModelFileError
from core.features import cache
from core.features.align import AlignMode, align
from core.features.extract import Features
from core.features.pitch import interpolate
from tests.training.material import make_examples


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Example:
    return make_examples(tmp_path_factory.mktemp("clip"), n_clips=1, seconds=1.1)[0]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), mode=st.sampled_from(["left", "nearest", "linear"]))
def test_a_piece_is_the_same_piece_of_the_whole(example: Example, data: st.DataObject, mode: AlignMode) -> None:
    clip = Clip(example, mode)
    start = data.draw(st.integers(0, clip.n_frames))
    n = data.draw(st.integers(0, clip.n_frames - start))
    piece = clip.piece(start, n)
    # The whole, by another way: everything decoded, aligned and interpolated at once.
    with wave.open(str(example.audio)) as file:
        audio = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    found = cache.load(example.features)
    n_frames = min(len(audio) // HOP, len(found.f0))
    f0_hz, uv = interpolate(found.f0.numpy()[:n_frames])
    units = align(found.units, n_frames, mode).half().numpy()
    assert np.array_equal(piece.units, units[start : start + n])
    assert np.array_equal(piece.f0_hz, f0_hz[start : start + n])
    assert np.array_equal(piece.uv, uv[start : start + n])
    assert np.array_equal(piece.volume, found.volume.numpy()[start : start + n])
    assert np.array_equal(piece.audio, audio[start * HOP : (start + n) * HOP])
    assert piece.n_frames == n


def large_set(folder: Path, n_clips: int, seconds: int) -> list[Example]:
    """Clips that are one clip by many names: as large for memory, which maps each by itself, as if they differed."""
    n_frames = seconds * RATE_HZ // HOP
    audio, features = folder / "0.wav", folder / "0.safetensors"
    with wave.open(str(audio), "wb") as file:
        file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        file.writeframes(bytes(2 * n_frames * HOP))
    units = torch.zeros(seconds * 50, 768)
    cache._save(features, Features(units, torch.full((n_frames,), 200.0), torch.zeros(n_frames)), "0" * 64)
    made = []
    for index in range(n_clips):
        paths = folder / f"{index}.wav", folder / f"{index}.safetensors"
        for first, path in zip((audio, features), paths, strict=True):
            if index:
                os.link(first, path)
        made.append(Example(str(index), *paths, n_frames))
    return made


def test_memory_does_not_grow_with_the_recordings(tmp_path: Path) -> None:
    examples = large_set(tmp_path, n_clips=48, seconds=60)
    on_disk = sum(e.audio.stat().st_size + e.features.stat().st_size for e in examples)
    data = TrainingSet(examples, SegmentPlan(64, fixed=True), 48, seed=1)
    data.batch(0, 0)
    process = psutil.Process()
    before = most = process.memory_info().rss
    for place in range(1, 12):
        data.batch(0, place)
        most = max(most, process.memory_info().rss)
    assert len(data.store._clips) == len(examples)
    assert on_disk > 450e6
    assert most - before < 60e6


def test_curves_are_let_go_and_read_again(example: Example) -> None:
    both = ClipStore([example, example], "nearest"), ClipStore([example, example], "nearest", curves_bytes=1)
    pieces = [[store[index].piece(3, 5).f0_hz for index in (0, 1, 0)] for store in both]
    assert np.array_equal(pieces[0], pieces[1])
    assert [len(store._clips) for store in both] == [2, 1]


def test_what_vanishes_under_a_run_is_named(example: Example, tmp_path: Path) -> None:
    moved = [tmp_path / path.name for path in (example.audio, example.features)]
    for old, new in zip((example.audio, example.features), moved, strict=True):
        new.write_bytes(old.read_bytes())
    clip = Clip(Example("c", *moved, example.n_frames), "nearest")
    moved[0].write_bytes(moved[0].read_bytes()[:2000])
    with pytest.raises(BadInput, match=moved[0].name):
        clip.piece(40, 10)
    moved[1].unlink()
    with pytest.raises(ModelFileError, match=moved[1].name):
        clip.piece()
