"""Real speech, joined with known pauses: what is said ends up inside clips, and no cut falls into a word."""

import json
from pathlib import Path

import numpy as np
import pytest

from core.audio.decode import load
from core.audio.encode import write_audio
from tests.dataset.kit import Bench

RATE = 22050
_N_CLIPS = 20


@pytest.fixture(scope="module")
def joined(shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """Twenty clips of one speaker with pauses of 0.25 to 1.2 s of faint noise, as data/make_long.py joins them."""
    speaker = shared_dir / "data" / "en_US_f_Allison"
    if not speaker.is_dir():
        pytest.skip("no real speech here")
    rng = np.random.default_rng(1)
    rows = [row for row in json.loads((speaker / "index.json").read_text()) if 1.2 < row["duration"] < 14]
    parts = []
    for index in rng.permutation(len(rows))[:_N_CLIPS]:
        pause = rng.standard_normal(int(rng.uniform(0.25, 1.2) * RATE)) * 1e-4
        parts += [pause.astype(np.float32), load(speaker / rows[index]["file"], RATE)]
    audio = np.concatenate([*parts, np.zeros(RATE, np.float32)])
    return write_audio(tmp_path_factory.mktemp("real") / "long.flac", audio, RATE), audio


def levels_db(audio: np.ndarray, step_s: float = 0.01) -> np.ndarray:
    size = round(step_s * RATE)
    frames = audio[: audio.size // size * size].reshape(-1, size)
    return 10 * np.log10(np.mean(frames.astype(np.float64) ** 2, axis=1) + 1e-12)


@pytest.mark.parametrize("slicer", ["silence", "vad"])
def test_speech_is_kept_and_words_are_whole(joined: tuple[Path, np.ndarray], workspace: Path, slicer: str) -> None:
    path, audio = joined
    bench = Bench(workspace)
    bench.store.import_recordings(bench.voice, [path])
    result = bench.prepare(slicer=slicer, rate_hz=RATE)
    assert result["warnings"] == []
    kept = [clip for clip in bench.clips() if clip.verdict == "accepted"]
    level = levels_db(audio)
    speech = level > np.percentile(level, 95) - 30
    inside = np.zeros(level.size, bool)
    for clip in kept:
        inside[round(clip.start_s * 100) : round(clip.end_s * 100)] = True
    assert (speech & inside).sum() >= 0.95 * speech.sum()
    for clip in kept:
        assert 1.0 <= clip.duration_s <= 12.0
        for edge_s in (clip.start_s, clip.end_s):
            around = level[max(0, round(edge_s * 100) - 3) : round(edge_s * 100) + 3]
            assert around.size == 0 or around.max() < np.percentile(level, 95) - 30, (clip.source, edge_s)
