"""`python -m benchmarks song [--minutes M] [--preset NAME ...] [--growth N]`: a whole song, by part.

The song is synthetic: a voice (`core.audio.synthetic`) over chords. It is parted by a network of random weights in the
layers and sizes of the usual vocal models. What that gives is no voice, so the stems as they went in are converted by a
voice of random weights; the mix is made twice: the second time, as after a turn of a knob, nothing is converted.
Seconds are wall clock; `cpu_s` is what this process computed, which on a busy machine tells more.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

RATE_HZ = 44100
BINS, FRAMES, N_FFT, DEPTH = 3072, 256, 7680, 5


def run(args: list[str]) -> dict[str, Any]:
    """The figures, by preset."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks song")
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--separate-minutes", type=float, help="part only so much of it (default: all)")
    parser.add_argument("--preset", nargs="+", default=["lite", "standard"], choices=("lite", "tiny", "standard"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--growth", type=int, default=48, help="channels that a stage of the separator adds")
    options = parser.parse_args(args)
    with tempfile.TemporaryDirectory(prefix="song-") as folder:
        return _measure(Path(folder), options)


def markdown(figures: dict[str, Any]) -> str:
    """A table, a row a preset."""
    lines = [
        f"A song of {figures['minutes']:g} minutes, {figures['threads']} threads, device {figures['device']}. Seconds "
        "of wall clock, and of processor time in brackets.",
        "",
        "| voice | separate | convert | mix | whole song | mixed again |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in figures["presets"].items():
        row = {"separate": figures["separate"], **found}
        cells = [f"{row[part]['wall_s']:.1f} ({row[part]['cpu_s']:.1f})" for part in ("separate", "convert", "mix")]
        whole = "–"
        if figures["separate_minutes"] == figures["minutes"]:
            whole = f"{sum(row[part]['wall_s'] for part in ('separate', 'convert', 'mix')):.1f}"
        again = f"{row['again']['wall_s']:.1f} ({row['again']['cpu_s']:.1f})"
        lines.append(f"| {name} | {' | '.join(cells)} | {whole} | {again} |")
    net = figures["network"]
    lines += [
        "",
        f"Separated: {figures['separate_minutes']:g} minutes of it; converted and mixed: all of it.",
        "",
        f"The separation network: random weights in the layers and sizes of the usual vocal models, "
        f"{net['parameters_m']:.1f} million parameters ({net['megabytes']:.0f} MB), {net['bins']} bins by "
        f"{net['frames']} frames, pieces of {net['piece_s']:.1f} s.",
    ]
    return "\n".join(lines) + "\n"


def _measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    import torch

    from core.cleaning.separate import separate_stems
    from core.jobs.context import ForegroundContext
    from core.settings import load_settings

    torch.set_num_threads(options.threads)
    given = {"workspace": folder, "pretrain_dir": folder / "pretrain", "device": options.device}
    settings = load_settings({**given, "threads": options.threads}, env={})
    network = _network(settings, options.growth)
    part_minutes = min(options.minutes, options.separate_minutes or options.minutes)
    part = _song(folder / "song.flac", part_minutes)
    began, cpu = time.perf_counter(), time.process_time()
    separate_stems(part, settings.workspace / "stems", ForegroundContext(settings))
    separate = _since(began, cpu)
    stems = _song_stems(folder, options.minutes)
    presets = {}
    for name in options.preset:
        _voice(settings, name)
        presets[name] = _one(settings, stems, name)
    return {
        "minutes": options.minutes,
        "threads": options.threads,
        "device": options.device,
        "network": network,
        "separate_minutes": part_minutes,
        "separate": separate,
        "presets": presets,
    }


def _one(settings: Any, stems: dict[str, str], name: str) -> dict[str, Any]:
    """The stems in one voice."""
    from core.jobs.context import ForegroundContext
    from core.song.job import run_song

    ctx = ForegroundContext(settings)
    row = {}
    for part, mix in (("whole", {}), ("again", {"reverb": 0.3, "vocals": {"mid_db": 2.0}})):
        began, cpu = time.perf_counter(), time.process_time()
        result = run_song({"voice": name, **stems, "mix": mix}, ctx)
        row[part] = _since(began, cpu)
        if part == "whole":
            seconds = result["seconds"]
    whole = row.pop("whole")
    again = row["again"]
    # The job tells the parts' wall clock; of the processor time the mix has what it took the second time.
    row["mix"] = {"wall_s": seconds["mix"], "cpu_s": again["cpu_s"]}
    row["convert"] = {"wall_s": seconds["convert"], "cpu_s": whole["cpu_s"] - again["cpu_s"]}
    return row


def _since(began: float, cpu: float) -> dict[str, float]:
    return {"wall_s": round(time.perf_counter() - began, 2), "cpu_s": round(time.process_time() - cpu, 2)}


def _song(path: Path, minutes: float) -> Path:
    """The song whole."""
    from core.audio.encode import write_audio

    voice, chords = _material(minutes)
    return write_audio(path, voice[:, None] + chords, RATE_HZ)


def _song_stems(folder: Path, minutes: float) -> dict[str, str]:
    """Its stems as a perfect separation would give them, so that the conversion has a voice to work on."""
    from core.audio.encode import write_audio

    voice, chords = _material(minutes)
    vocals = write_audio(folder / "vocals.flac", voice, RATE_HZ)
    return {"vocals": str(vocals), "accompaniment": str(write_audio(folder / "band.flac", chords, RATE_HZ))}


def _material(minutes: float) -> tuple[Any, Any]:
    """A synthetic voice [n], and chords that change every two seconds [n, 2]."""
    from core.audio.resample import resample
    from core.audio.synthetic import WOMAN, recording

    n_samples = round(minutes * 60 * RATE_HZ)
    base, rate_hz = recording(min(60.0, minutes * 60), WOMAN)
    voice = np.resize(resample(base, rate_hz, RATE_HZ), n_samples)
    times = np.arange(n_samples) / RATE_HZ
    roots = 110.0 * 2.0 ** (np.array([0, 5, 7, 3])[(times // 2).astype(int) % 4] / 12)
    phase = 2 * np.pi * np.cumsum(roots) / RATE_HZ
    left, right = (sum(np.sin(ratio * phase) for ratio in chord) for chord in ((1, 1.5, 2.5), (1, 2, 3)))
    chords = 0.05 * np.stack([left, right], axis=1)
    return (0.6 * voice).astype(np.float32), chords.astype(np.float32)


def _voice(settings: Any, name: str) -> None:
    """A voice of that preset with random weights and the built-in encoder."""
    from core.dataset.voices import VoiceStore
    from core.engines.sovits.config import save_config
    from core.engines.sovits.export import export_model
    from core.engines.sovits.model import build_generator
    from core.engines.sovits.presets import preset
    from core.features import encoders

    encoder = encoders.create("builtin", settings.device, settings)
    config = preset(name, encoder="builtin", encoder_dim=encoder.dim, speakers=["a"])
    voice = VoiceStore(settings.voices_dir).create(name)
    save_config(config, voice.path / "config.json")
    card = {"voice": name, "preset": name, "step": 0, "run": "random", "created": 1.0, "f0_median": 200.0}
    card |= {"encoder": "builtin", "encoder_fingerprint": encoder.fingerprint}
    export_model(voice.models / "random", build_generator(config), voice.path / "config.json", card)


def _network(settings: Any, growth: int) -> dict[str, Any]:
    """Write a TFC-TDF U-Net (see `core.cleaning.mdx` for the paper) with random weights: with a growth of 48 it has
    the 16.7 million parameters, the layers and the planes of the usual vocal models."""
    import json

    import torch

    from core.models.catalogue import entry

    torch.manual_seed(0)
    net = _unet(growth).eval()
    folder = settings.pretrain_dir / entry("vocals").folder
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "random.onnx"
    torch.onnx.export(net, (torch.zeros(1, 4, BINS, FRAMES),), str(path), input_names=["input"],
                      output_names=["output"], external_data=False, verbose=False)  # fmt: skip
    path.with_suffix(".json").write_text(json.dumps({"n_fft": N_FFT, "compensation": 1.0, "stem": "vocals"}))
    return {
        "megabytes": os.path.getsize(path) / 1e6,
        "parameters_m": sum(p.numel() for p in net.parameters()) / 1e6,
        "bins": BINS,
        "frames": FRAMES,
        "piece_s": 1024 * (FRAMES - 1) / RATE_HZ,
    }


def _unet(growth: int) -> Any:
    """[1, 4, bins, frames] to the same shape; normalisation is left out, as an export folds it into the weights."""
    from torch import nn

    class Stage(nn.Module):
        """Three convolutions over time and frequency, then two layers over frequency alone, added."""

        def __init__(self, channels: int, bins: int) -> None:
            super().__init__()
            convs = [(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU()) for _ in range(3)]
            self.convs = nn.Sequential(*[layer for pair in convs for layer in pair])
            self.dense = nn.Sequential(nn.Linear(bins, bins // 8), nn.ReLU(), nn.Linear(bins // 8, bins), nn.ReLU())

        def forward(self, x: Any) -> Any:
            x = self.convs(x)
            return x + self.dense(x)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            widths = [growth * (depth + 1) for depth in range(DEPTH + 1)]
            self.entry, self.exit = nn.Conv2d(4, growth, 1), nn.Conv2d(growth, 4, 1)
            self.down = nn.ModuleList(Stage(widths[i], BINS >> i) for i in range(DEPTH))
            self.halve = nn.ModuleList(nn.Conv2d(widths[i], widths[i + 1], 2, 2) for i in range(DEPTH))
            self.middle = Stage(widths[DEPTH], BINS >> DEPTH)
            self.widen = nn.ModuleList(nn.ConvTranspose2d(widths[i + 1], widths[i], 2, 2) for i in range(DEPTH))
            self.up = nn.ModuleList(Stage(widths[i], BINS >> i) for i in range(DEPTH))

        def forward(self, planes: Any) -> Any:
            x = self.entry(planes).transpose(2, 3)  # frequency last, for the layers over it
            kept = []
            for stage, halve in zip(self.down, self.halve, strict=True):
                kept.append(stage(x))
                x = halve(kept[-1])
            x = self.middle(x)
            for stage, widen, other in zip(reversed(self.up), reversed(self.widen), reversed(kept), strict=True):
                x = stage(widen(x) * other)
            return self.exit(x.transpose(2, 3))

    return Net()
