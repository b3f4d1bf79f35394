"""Clean recordings of two real readers are left in peace, and what is spoilt among them is found."""

import json
from pathlib import Path

import numpy as np
import pytest

from core.audio.decode import load
from core.audio.encode import write_audio
from core.audio.resample import resample
from core.jobs.context import ForegroundContext
from core.quality.gate import run_qa
from core.settings import load_settings
from tests.quality.conftest import in_room

READERS = ("en_US_f_Allison", "it_IT_m_Carlo")
N_CLEAN, N_CLIPS = 10, 16


def clips_of(shared_dir: Path, reader: str) -> dict[str, np.ndarray]:
    """The first clips of 3.2 to 6 s (a shorter one does not show how high its source reaches), by name."""
    found: dict[str, np.ndarray] = {}
    for path in sorted((shared_dir / "data" / reader).glob("*.flac")):
        audio = load(path, 16000)
        if 3.2 <= audio.size / 16000 <= 6.0:
            found[path.stem] = audio
        if len(found) == N_CLIPS:
            break
    return found


def spoilt(clips: list[np.ndarray]) -> dict[str, tuple[np.ndarray, int, str]]:
    """Defects of known kind: name -> (audio, rate, the code that must be said)."""
    power = float(np.mean(clips[0] ** 2))
    noise = np.random.default_rng(0).standard_normal(clips[0].size).astype(np.float32)
    loudest = float(np.abs(clips[1]).max())
    return {
        "noisy": (clips[0] + noise * np.sqrt(power / 10**0.6), 16000, "noisy"),
        "clipped": (np.clip(clips[1] * 4.0 / loudest, -1.0, 1.0), 16000, "clipped"),
        "telephone": (resample(resample(clips[2], 16000, 8000), 8000, 44100), 44100, "narrow_band"),
        "hall": (0.5 * in_room(clips[3], 1.2), 16000, "reverberant"),
        "soft": (clips[4] * 0.003, 16000, "too_soft"),
    }


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS)
def test_no_false_alarm_and_every_defect(tmp_path: Path, workspace: Path, shared_dir: Path, reader: str) -> None:
    clips = clips_of(shared_dir, reader)
    clean = dict(list(clips.items())[:N_CLEAN])
    for name, audio in clean.items():
        write_audio(tmp_path / f"{name}.wav", audio, 16000)
    twice = next(iter(clean))
    write_audio(tmp_path / "again.wav", np.concatenate([np.zeros(3000, np.float32), 0.5 * clean[twice]]), 16000)
    made = spoilt(list(clips.values())[N_CLEAN:])
    for name, (audio, rate_hz, _) in made.items():
        write_audio(tmp_path / f"{name}.wav", audio, rate_hz)
    ctx = ForegroundContext(load_settings({"workspace": str(workspace)}, env={}))
    result = run_qa({"folder": str(tmp_path), "workers": 1}, ctx)
    rows = json.loads(Path(result["details"]).read_bytes())["rows"]
    said = {Path(row["audio"]).stem: {one["code"] for one in row["findings"]} for row in rows}
    assert {name: code for name, (_, _, code) in made.items() if code not in said[name]} == {}, "missed"
    assert sorted([said.pop("again"), said.pop(twice)], key=len) == [set(), {"duplicate"}]
    assert {name: codes for name, codes in said.items() if name in clean and codes} == {}, "false alarms"
