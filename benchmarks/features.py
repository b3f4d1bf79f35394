"""Speed and accuracy of the pitch predictors, speed of the encoder and of the feature cache.

Times are of one core: CPU seconds are given beside wall seconds, because a shared machine stretches
the second but hardly the first.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from core.audio.encode import write_audio
from core.audio.resample import resample
from core.audio.synthetic import WOMAN, recording
from core.features import encoders, pitch
from core.features.cache import extract, spec_of
from core.paths import REPO_ROOT
from core.settings import load_settings

RATE_HZ, HOP = 44100, 512
_REAL_SPEECH = REPO_ROOT.parent / "shared" / "data"
_GROSS = 0.2  # relative error beyond which a pitch is plainly wrong (an octave, a harmonic)


def run(args: list[str]) -> dict[str, Any]:
    """Run the benchmark. Returns predictors, crepe_package, encoder, extract and real_speech."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks features", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="speech to time, s (default: 20)")
    parser.add_argument("--real-clips", type=int, default=0, help="clips of ../shared/data to compare predictors on")
    options = parser.parse_args(args)
    torch.set_num_threads(1)
    spoken, spoken_hz = recording(options.seconds, WOMAN)
    speech = resample(spoken, spoken_hz, RATE_HZ)[: round(options.seconds * RATE_HZ)]
    figures: dict[str, Any] = {
        "speech_s": speech.size / RATE_HZ,
        "predictors": {name: _predictor(name, speech) for name in pitch.PITCHES},
        "crepe_package": _crepe_package(),
        "encoder": _encoder(speech),
        "extract": _extract(speech),
    }
    if options.real_clips and _REAL_SPEECH.is_dir():
        figures["real_speech"] = _agreement(options.real_clips)
    return figures


def _timed(work: Callable[[], Any], audio_s: float, repeats: int = 3) -> dict[str, float]:
    """Return wall and CPU seconds per second of audio, the best of some runs after one to warm up."""
    work()
    wall, cpu = [], []
    for _ in range(repeats):
        at_wall, at_cpu = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - at_wall)
        cpu.append(time.process_time() - at_cpu)
    return {"rtf_wall": round(min(wall) / audio_s, 4), "rtf_cpu": round(min(cpu) / audio_s, 4)}


def _predictor(name: str, speech: NDArray[np.float32]) -> dict[str, Any]:
    at = time.perf_counter()
    predictor = pitch.create(name)
    loaded_s = time.perf_counter() - at
    heard = speech[: 5 * RATE_HZ] if name == "crepe" else speech
    n_frames = heard.size // HOP
    repeats = 1 if name == "crepe" else 3
    times = _timed(lambda: predictor.predict(heard, RATE_HZ, HOP, n_frames), heard.size / RATE_HZ, repeats)
    return {"load_s": round(loaded_s, 2), **times, **_accuracy(predictor, 1.0 if name == "crepe" else 2.0)}


def _accuracy(predictor: pitch.PitchPredictor, duration_s: float = 2.0) -> dict[str, float]:
    """Return shares of frames right on tones of 80 to 800 Hz, and of frames called voiced in noise."""
    t = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    tones = [
        80 * 10 ** (t / duration_s),
        420 * 2 ** (-1.3 * t / duration_s),
        220 * 2 ** (0.7 / 12 * np.sin(2 * np.pi * 5.5 * t)),
    ]
    errors = []
    n_frames = t.size // HOP
    for truth in tones:
        phase = 2 * np.pi * np.cumsum(truth) / RATE_HZ
        wav = sum(np.where(h * truth < 7000, np.sin(h * phase + h) / h, 0.0) for h in range(1, 25))
        wav = (0.2 * wav / np.abs(wav).max()).astype(np.float32)
        at = np.minimum(((np.arange(n_frames) + 0.5) * HOP).astype(int), truth.size - 1)
        errors.append(np.abs(predictor.predict(wav, RATE_HZ, HOP, n_frames) / truth[at] - 1))
    error = np.concatenate(errors)
    noise = (0.1 * np.random.default_rng(0).normal(size=t.size)).astype(np.float32)
    f0 = predictor.predict(noise, RATE_HZ, HOP, n_frames)
    return {
        "within_1_percent": round(float((error < 0.01).mean()), 4),
        "within_2_percent": round(float((error < 0.02).mean()), 4),
        "voiced_in_noise": round(float((f0 > 0).mean()), 4),
    }


def _crepe_package() -> dict[str, float]:
    """Milliseconds of CPU a frame: the package's network beside the same one by spectra."""
    from core.features.pitch.crepe import _load_packaged
    from core.features.pitch.crepe_fourier import FourierCrepe

    packaged = _load_packaged("full").eval()
    windows = torch.randn(32, 1024, generator=torch.Generator().manual_seed(0))
    result = {}
    for label, model in (("package", packaged), ("ours", FourierCrepe(packaged).eval())):
        with torch.inference_mode():
            model(windows)
            at = time.process_time()
            model(windows)
        result[f"{label}_ms_a_frame"] = round((time.process_time() - at) / 32 * 1000, 2)
    result["times_faster"] = round(result["package_ms_a_frame"] / result["ours_ms_a_frame"], 2)
    return result


def _encoder(speech: NDArray[np.float32]) -> dict[str, Any]:
    settings = load_settings()
    result: dict[str, Any] = {}
    for info in encoders.available(settings):
        if not info.ready:
            result[info.name] = "not present"
            continue
        encoder = encoders.create(info.name, "cpu", settings)
        wav = torch.from_numpy(resample(speech, RATE_HZ, encoder.sample_rate_hz))
        result[info.name] = _timed(partial(encoder.encode, wav), speech.size / RATE_HZ)
    return result


def _extract(speech: NDArray[np.float32]) -> dict[str, Any]:
    """Return seconds of audio a second for a cold cache by workers, and seconds for a warm one."""
    settings = load_settings()
    encoder = encoders.create("builtin", "cpu", settings)
    spec = spec_of(encoder, "fcpe")
    clip = 4 * RATE_HZ
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        clips = []
        for i in range(12):
            start = i * RATE_HZ % max(1, speech.size - clip)
            clips.append(Path(name, f"{i}.wav"))
            write_audio(clips[-1], speech[start : start + clip], RATE_HZ, "wav", {})
        for workers in (1, 2):
            root = Path(name, str(workers))
            at = time.perf_counter()
            extract(clips, spec, root, workers=workers, encoder=encoder)
            result[f"audio_s_a_second_{workers}_workers"] = round(12 * 4 / (time.perf_counter() - at), 1)
        at = time.perf_counter()
        extract(clips, spec, root, encoder=encoder)
        result["warm_s_for_12_clips"] = round(time.perf_counter() - at, 3)
    return result


def _agreement(n_clips: int) -> dict[str, Any]:
    """Compare predictors with crepe on real speech: no truth is known there, so this is agreement only."""
    from core.audio.decode import load

    files = sorted(_REAL_SPEECH.rglob("*.flac"))
    chosen = files[:: max(1, len(files) // n_clips)][:n_clips]
    tracks: dict[str, list[NDArray[np.float32]]] = {name: [] for name in pitch.PITCHES}
    for name, list_ in tracks.items():
        predictor = pitch.create(name)
        for file in chosen:
            wav = load(file, RATE_HZ)[: 6 * RATE_HZ]
            list_.append(predictor.predict(wav, RATE_HZ, HOP, wav.size // HOP))
    joined = {name: np.concatenate(list_) for name, list_ in tracks.items()}
    reference = joined.pop("crepe")
    table = {}
    for name, f0 in joined.items():
        both = (f0 > 0) & (reference > 0)
        error = np.abs(f0[both] / reference[both] - 1)
        table[name] = {
            "same_voicing": round(float(((f0 > 0) == (reference > 0)).mean()), 4),
            "gross_errors": round(float((error > _GROSS).mean()), 4),
            "median_cents": round(float(1200 * np.median(np.log2(1 + error))), 2),
        }
    return {"clips": len(chosen), "frames": int(reference.size), "against": "crepe", "table": table}


def markdown(figures: dict[str, Any]) -> str:
    """The page."""
    rows = [
        f"| {name} | {one['rtf_cpu']:.3f} | {one['rtf_wall']:.3f} | {one['within_1_percent']:.1%} "
        f"| {one['within_2_percent']:.1%} | {one['voiced_in_noise']:.1%} |"
        for name, one in figures["predictors"].items()
    ]
    crepe, made = figures["crepe_package"], figures["extract"]
    lines = [
        "Times are of one thread, for a second of audio.",
        "",
        "| predictor | CPU s | wall s | within 1 % | within 2 % | voiced in white noise |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
        "Accuracy: share of all frames on three harmonic tones (a rise from 80 to 800 Hz, a fall of 1.3 octaves from "
        "420 Hz, a vibrato of 70 cents at 220 Hz); an unvoiced frame there counts as wrong.",
        "",
        "crepe's convolutions are done as products of spectra (`core/features/pitch/crepe_fourier.py`): "
        f"{crepe['ours_ms_a_frame']} ms of CPU a frame where the package takes {crepe['package_ms_a_frame']}, "
        f"{crepe['times_faster']} times less.",
        "",
        *_agreement_lines(figures.get("real_speech")),
        "## Units and the cache",
        "",
        *(
            f"- `{name}`: " + (one if isinstance(one, str) else f"{one['rtf_cpu']} CPU s for a second of audio")
            for name, one in figures["encoder"].items()
        ),
        "- a cold cache (built-in encoder, fcpe, 12 clips of 4 s, files written and synced): "
        f"{made['audio_s_a_second_1_workers']} seconds of audio a second by one thread, "
        f"{made['audio_s_a_second_2_workers']} by two; a warm one answers in {made['warm_s_for_12_clips']} s, "
        "checksums included",
    ]
    return "\n".join(lines) + "\n"


def _agreement_lines(real: dict[str, Any] | None) -> list[str]:
    if real is None:
        return []
    return [
        f"Real speech: {real['clips']} clips of `../shared/data`, {real['frames']} frames. No truth is known there, so "
        f"this is agreement with {real['against']}, not accuracy.",
        "",
        "| | same voicing | gross errors (over 20 % apart, both voiced) | median difference, cents |",
        "|---|---|---|---|",
        *(
            f"| {name} | {one['same_voicing']:.1%} | {one['gross_errors']:.1%} | {one['median_cents']} |"
            for name, one in real["table"].items()
        ),
        "",
    ]
