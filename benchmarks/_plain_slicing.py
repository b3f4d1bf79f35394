"""Cutting by subtitles as scripts do it, a baseline for `benchmarks.slicing`; written here from its outline.

The whole file into memory, then cue by cue: resample the window, ask Silero's TorchScript model frame by frame, write
with soundfile, probe the file twice (by ffprobe where it is installed, else by soundfile, which is quicker).
"""

import json
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np

BUFFER_S = 0.1
SILENCE_S = 0.2


def slice_plainly(
    audio_path: Path, times: list[tuple[float, float]], out: Path
) -> tuple[list[tuple[float, float]], float]:
    """Cut; returns the times of the cuts, by speech or (where none is found) by the subtitle, and the seconds that
    went into probing."""
    import soundfile
    import torch
    import torchaudio
    from silero_vad import get_speech_timestamps, load_silero_vad

    model = load_silero_vad()
    ffprobe = shutil.which("ffprobe")
    out.mkdir(parents=True)
    audio, rate = soundfile.read(audio_path)
    if audio.ndim > 1:
        audio = audio.mean(axis=1)
    resample = torchaudio.transforms.Resample(rate, 16000)
    silence = np.zeros(int(SILENCE_S * rate))
    cuts, rows, probing_s = [], [], 0.0
    for number, (start, end) in enumerate(times, start=1):
        first, last = int(max(0.0, start - BUFFER_S) * rate), int(min(len(audio) / rate, end + BUFFER_S) * rate)
        window = resample(torch.from_numpy(audio[first:last].astype(np.float32)))
        speech = get_speech_timestamps(window, model, sampling_rate=16000, threshold=0.5)
        if speech:
            start, end = first / rate + speech[0]["start"] / 16000, first / rate + speech[-1]["end"] / 16000
        path = out / f"{number:04d}.wav"
        piece = audio[int(start * rate) : int(end * rate)]
        soundfile.write(path, np.concatenate([silence, piece, silence]), rate)
        started = time.perf_counter()
        _, duration = (_probe(path, ffprobe) for _ in range(2))
        probing_s += time.perf_counter() - started
        rows.append({"audio": str(path), "text": "", "duration": round(duration, 2)})
        cuts.append((start, end))
    (out / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return cuts, probing_s


def _probe(path: Path, ffprobe: str | None) -> float:
    import soundfile

    if ffprobe is None:
        return float(soundfile.info(path).duration)
    fields = ["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0"]
    done = subprocess.run([ffprobe, *fields, str(path)], capture_output=True, text=True, check=True)
    return float(done.stdout)
