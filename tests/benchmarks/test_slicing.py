"""What the figures of the slicing benchmark mean: made-up cuts whose agreement, recall and foreign speech are known."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks._plain_slicing import slice_plainly
from benchmarks.slicing import SPEAKERS, _synthetic, against_truth, agreement, make_recording, markdown, write_srt
from core.audio.encode import read_wav, write_audio
from core.subtitles.parse import read

RATE_HZ = 16000
TRUTH = [(1.0, 2.0), (3.0, 4.0), (5.0, 6.0)]


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tones where TRUTH has utterances, silence between them."""
    t = np.arange(7 * RATE_HZ) / RATE_HZ
    loud = np.zeros(t.size, bool)
    for start, end in TRUTH:
        loud[round(start * RATE_HZ) : round(end * RATE_HZ)] = True
    return write_audio(tmp_path_factory.mktemp("tones") / "t.wav", 0.2 * np.sin(2 * np.pi * 440 * t) * loud, RATE_HZ)


@pytest.mark.parametrize(
    ("cuts", "recall", "foreign_s"),
    [
        (TRUTH, 1.0, 0.0),
        ([(0.5, 2.5), (2.5, 4.5), (4.5, 6.9)], 1.0, 0.0),
        ([(1.5, 2.0), (3.0, 4.0), (5.0, 6.0)], 5 / 6, 0.0),
        ([(1.0, 3.2), (3.0, 4.0), (5.0, 6.0)], 1.0, 0.2),
        ([(3.0, 4.0), (1.0, 2.0), (5.0, 6.0)], 1 / 3, 2.0),
        ([(0.0, 0.5), (0.0, 0.5), (0.0, 0.5)], 0.0, 0.0),
    ],
)
def test_recall_and_foreign_speech(
    tones: Path, cuts: list[tuple[float, float]], recall: float, foreign_s: float
) -> None:
    figures = against_truth(tones, TRUTH, cuts)
    assert figures["recall"] == pytest.approx(recall, abs=0.01)
    assert figures["foreign_s"] == pytest.approx(foreign_s, abs=0.03)


def test_agreement_asks_for_both_edges() -> None:
    assert agreement(TRUTH, TRUTH) == 1.0
    off = [(1.06, 1.94), (3.07, 4.0), (5.0, 5.93)]
    assert agreement(off, TRUTH) == pytest.approx(1 / 3)
    assert agreement(TRUTH, off) == agreement(off, TRUTH)


cue_times = st.lists(st.tuples(st.integers(0, 40_000_000), st.integers(1, 60_000)), min_size=1, max_size=20)


@given(cue_times)
def test_subtitles_that_are_written_are_read_to_the_millisecond(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[int, int]]
) -> None:
    drawn.sort()
    times = [(start / 1000, (start + length) / 1000) for start, length in drawn]
    found = read(write_srt(tmp_path_factory.mktemp("srt") / "s.srt", times)).cues
    wanted = sorted((start, start + length) for start, length in drawn)
    assert sorted((cue.start_ms, cue.end_ms) for cue in found) == wanted


def test_without_real_speech_a_recording_is_made_whose_truth_is_true(tmp_path: Path) -> None:
    audio, subs, times = _synthetic(tmp_path / "made", 0.15, seed=2)
    cues = read(subs).cues
    assert len(cues) == len(times) > 1
    for cue, (start, end) in zip(cues, times, strict=True):
        assert abs(cue.start_ms / 1000 - start) <= 0.081
        assert abs(cue.end_ms / 1000 - end) <= 0.081
    assert against_truth(audio, times, times) == {"recall": 1.0, "foreign_s": 0.0}


def test_real_speech_comes_with_its_truth(shared_dir: Path, tmp_path: Path) -> None:
    audio, _, times = make_recording(tmp_path / "real", 0.2, SPEAKERS[0])
    assert against_truth(audio, times, times) == {"recall": 1.0, "foreign_s": 0.0}


def test_the_plain_script_cuts_what_its_detector_hears(tmp_path: Path, speech: Path) -> None:
    pytest.importorskip("torchaudio", reason="the baseline wants torchaudio")
    samples, rate_hz = read_wav(speech)
    length = min(samples.size / rate_hz, 4.0)
    cuts, probing_s = slice_plainly(speech, [(0.0, length), (3600.0, 3601.0)][:1], tmp_path / "out")
    (start, end), (piece, out_hz) = cuts[0], read_wav(tmp_path / "out" / "0001.wav")
    assert 0.0 <= start < end <= length + 0.1
    assert out_hz == rate_hz
    assert piece.size / rate_hz == pytest.approx(end - start + 0.4, abs=0.01)
    assert probing_s > 0.0
    assert len((tmp_path / "out" / "train.jsonl").read_text("utf-8").splitlines()) == 1


COMPARED = {
    "recording": "talk", "seconds": 120.0, "cues": 40, "plain_wall_s": 6.0, "plain_cpu_s": 7.0, "plain_probing_s": 0.5,
    "ours_wall_s": 0.5, "ours_cpu_s": 0.9, "ratio_wall": 12.0, "ratio_cpu": 7.8, "agreement": 0.975,
    "plain_recall": 0.99, "ours_recall": 0.999, "ours_foreign_s": 0.0, "plain_times_real_time": 20.0,
    "ours_times_real_time": 240.0,
}  # fmt: skip


def test_the_page_has_a_row_for_everything_that_was_measured() -> None:
    figures = {
        "speech": "real", "probe": "ffprobe", "comparisons": [COMPARED],
        "growth": [
            {"hours": 10.0, "cues": 9000, "wall_s": 50.0, "cpu_s": 80.0, "cpu_s_per_hour": 8.0, "peak_rss_mb": 400.0}
        ],
    }  # fmt: skip
    page = markdown(figures)
    assert "| talk (2 min, 40 cues) | 6.00 / 7.00 (0.50 probing) | 0.50 / 0.90 | **12.0** / 7.8 | 97.5%" in page
    assert "| talk | 20.0 | 240 |" in page
    assert "| 10 h, 9000 cues | 50.0 | 80.0 | 8.00 | 400 MB |" in page
    tables = [line for line in page.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in tables}) == 3, "three tables, each as wide all through"
    assert "Length and memory" not in markdown({**figures, "growth": []})
