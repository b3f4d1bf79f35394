"""The figures of denoising: the ratio and the mixing are what they are called, and harm is told."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import cleaning


def test_the_ratio_knows_the_level_of_the_noise_and_no_scale() -> None:
    rng = np.random.default_rng(1)
    voice, noise = (rng.standard_normal(200_000).astype(np.float32) for _ in range(2))
    for snr_db in (0.0, 10.0, 25.0):
        mixed = cleaning.with_noise(voice, voice, noise, snr_db)
        assert cleaning.si_sdr_db(mixed, voice) == pytest.approx(snr_db, abs=0.1)
        assert cleaning.si_sdr_db(0.1 * mixed, voice) == pytest.approx(snr_db, abs=0.1)


def test_pauses_do_not_count_for_the_level() -> None:
    rng = np.random.default_rng(2)
    spoken = rng.standard_normal(50_000).astype(np.float32)
    voice = np.concatenate([spoken, np.zeros(150_000, np.float32)])
    mixed = cleaning.with_noise(voice, spoken, rng.standard_normal(voice.size).astype(np.float32), 10.0)
    assert cleaning.si_sdr_db(mixed[:50_000], spoken) == pytest.approx(10.0, abs=0.2)


def test_harm_is_told_and_missing_figures_are_empty() -> None:
    def row(denoiser: str, wer: float | None, gain: float | None) -> dict[str, object]:
        return {"noise": "white", "snr_db": 0, "denoiser": denoiser, "si_sdr_db": 1.0, "gain_db": gain,
                "worst_gain_db": gain, "wer": wer, "cpu_s_per_min": 1.0 if denoiser else None}  # fmt: skip

    told = {"clips": 1, "seconds": 1.0, "words": 9, "rows": [row("", 0.2, None), row("gate", 0.3, 4.0)]}
    page = cleaning.markdown(told)
    assert "| white | 0 dB | gate | 1.0 dB | +4.0 / +4.0 dB | 30.0 % | 1.0 |" in page
    assert "More words are wrong after cleaning than before with: gate (white, 0 dB)." in page
    told["rows"] = [row("", 0.2, None), row("gate", 0.1, 4.0)]
    assert "More words" not in cleaning.markdown(told)
    told["rows"] = [row("", None, None), row("gate", None, 4.0)]
    assert "%" not in cleaning.markdown(told)
    assert "Not run" in cleaning.markdown({"rows": [], "skipped": "no data"})


def test_a_denoiser_is_run_as_the_step_is(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    noise = (0.05 * rng.standard_normal(3 * cleaning.RATE_HZ)).astype(np.float32)
    out, seconds = cleaning.denoised(noise, "gate", tmp_path)
    assert out.size == noise.size
    assert np.mean(out**2) < 0.1 * np.mean(noise**2)
    assert seconds > 0


def test_words_and_groups() -> None:
    assert cleaning.words("Don't -- stop, NOW.") == ["don't", "stop", "now"]
    clips = [np.zeros(round(seconds * cleaning.RATE_HZ), np.float32) for seconds in (10, 10, 10, 40, 1)]
    assert cleaning._grouped(clips) == [[0, 1], [2], [3], [4]]
