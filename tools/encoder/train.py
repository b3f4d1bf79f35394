"""Trains the built-in encoder, from the recogniser's lower layers on.

``python -m tools.encoder.train --shared ../shared --out pretrain/builtin``

Makes the corpus, asks the teacher, groups its features into units, trains the network
for a number of minutes (the learning rate follows the clock, so a slower machine makes
fewer steps but ends as smoothly) and writes ``encoder.safetensors`` and ``encoder.json``.
"""

import argparse
import hashlib
import json
import math
import platform
import shutil
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from core.features.encoders.builtin import (
    FORMAT_VERSION,
    HOP,
    UnitNet,
    dequantise,
    level_free,
    mel_bank,
    power_spectrum,
    quantise,
)
from tools.encoder.augment import Augment
from tools.encoder.corpus import build, load_voice, read_clip, split_held_out
from tools.encoder.phones import labelled_speech
from tools.encoder.teacher import Projection, Teacher, Units, fit_units, joint_features, load_targets, teach
from tools.encoder.whisper import start_from_whisper

KIND_WEIGHTS = {"natural": 0.3, "shifted": 0.4, "espeak": 0.18, "flite": 0.06, "festival": 0.06}
LOG_FLOOR = 1e-9
RARE_PHONE_FRAMES = 100


@dataclass(frozen=True)
class Recipe:
    """What a training run may choose."""

    minutes: float = 40.0
    batch: int = 16
    segment_frames: int = 192
    peak_rate: float = 3e-4
    new_rate_factor: float = 5.0
    """Head and distances begin anew and learn this much faster."""
    warmup_steps: int = 60
    weight_decay: float = 0.01
    threads: int = 2
    seed: int = 1
    temperature: float = 1.0


def log_power(clips: list[np.ndarray]) -> Tensor:
    """int16 clips to their log power spectra in one row, [sum of M, bins] float16."""
    rows = [power_spectrum(torch.from_numpy(c.astype(np.float32) / 32768)) for c in clips]
    return torch.cat([torch.log(r + LOG_FLOOR).half() for r in rows])


class Data:
    """All spectra and soft targets in memory; draws random segments."""

    def __init__(self, corpus: Path, features: dict[str, Tensor], units: Units, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._spectra: dict[str, Tensor] = {}
        self._targets: dict[str, Tensor] = {}
        self._kinds: dict[str, list[str]] = {}
        made: dict[int, Tensor] = {}
        for path in sorted(corpus.glob("*.npz")):
            name = path.stem
            self._spectra[name] = log_power(load_voice(path))
            key = id(features[name])
            if key not in made:
                made[key] = units.soft(features[name]).half()
            self._targets[name] = made[key]
            if 2 * len(made[key]) != len(self._spectra[name]):
                raise RuntimeError(f"{name}: teacher and corpus differ in length; clear the cache")
            kind = "shifted" if name.startswith("shifted") else name.split("_")[0]
            self._kinds.setdefault(kind, []).append(name)

    def draw(self, batch: int, n_frames: int) -> tuple[Tensor, Tensor, Tensor]:
        """Log power [B, 2T, bins], soft targets [B, T, C], shifted [B]."""
        kinds = list(self._kinds)
        weights = np.array([KIND_WEIGHTS[k] for k in kinds])
        spectra, targets, shifted = [], [], []
        for kind in self._rng.choice(kinds, batch, p=weights / weights.sum()):
            names = self._kinds[kind]
            lengths = np.array([max(0, len(self._targets[n]) - n_frames) for n in names], float)
            name = names[self._rng.choice(len(names), p=lengths / lengths.sum())]
            at = int(self._rng.integers(len(self._targets[name]) - n_frames))
            spectra.append(self._spectra[name][2 * at : 2 * (at + n_frames)])
            targets.append(self._targets[name][at : at + n_frames])
            shifted.append(kind == "shifted")
        return torch.stack(spectra), torch.stack(targets).float(), torch.tensor(shifted)


class Check:
    """Agreement with the teacher's nearest unit on one unseen voice."""

    def __init__(self, name: str, clips: list[np.ndarray], project: Projection, units: Units, teacher: Teacher) -> None:
        clips = [c for c in clips if len(c) < 29 * 16000]
        features = project(torch.from_numpy(np.concatenate(teacher.features(clips))).float())
        self.name = name
        self.wanted = units.distances(features - features.mean(0)).argmin(1)
        self._mels = [power_spectrum(torch.from_numpy(c.astype(np.float32) / 32768)) @ mel_bank() for c in clips]

    @torch.inference_mode()
    def __call__(self, net: UnitNet) -> tuple[float, float]:
        """(top-1, top-3) agreement, 0..1."""
        logits = torch.cat([net(level_free(m[None]))[0] for m in self._mels if len(m)])
        best = logits.topk(3).indices == self.wanted[:, None]
        return float(best[:, 0].float().mean()), float(best.any(1).float().mean())


def train(
    data: Data, checks: list[Check], recipe: Recipe, start: Path | None = None
) -> tuple[UnitNet, list[dict[str, float]]]:
    """Trains for ``recipe.minutes``, from the weights of ``start`` if given; returns the network and a log."""
    torch.manual_seed(recipe.seed)
    net = UnitNet()
    if start is None:
        start_from_whisper(net)
    else:
        net.load_state_dict(dequantise(load_file(start)))
    new = [p for name, p in net.named_parameters() if name.startswith("head") or name.endswith("distance_bias")]
    old = [p for p in net.parameters() if all(p is not other for other in new)]
    groups = [{"params": old, "factor": 1.0}, {"params": new, "factor": recipe.new_rate_factor}]
    optimiser = torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.98), weight_decay=recipe.weight_decay)
    augment = Augment(recipe.seed)
    log: list[dict[str, float]] = []
    begin, step, losses, last_check = time.monotonic(), 0, [], 0.0
    while (done := (time.monotonic() - begin) / 60 / recipe.minutes) < 1:
        warmth = min(1, (step + 1) / recipe.warmup_steps)
        rate = recipe.peak_rate * warmth * (0.505 + 0.495 * math.cos(math.pi * done))
        for group in optimiser.param_groups:
            group["lr"] = rate * group["factor"]
        spectra, targets, shifted = data.draw(recipe.batch, recipe.segment_frames)
        loss = F.cross_entropy(net(augment(spectra, shifted)).flatten(0, 1), targets.flatten(0, 1))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        losses.append(loss.item())
        step += 1
        if done - last_check > 0.1:
            last_check = done
            entry = {"step": step, "minutes": done * recipe.minutes, "loss": float(np.mean(losses[-200:]))}
            for check in checks:
                entry[f"{check.name}_top1"], entry[f"{check.name}_top3"] = check(net.eval())
            net.train()
            log.append(entry)
            print({k: round(v, 3) for k, v in entry.items()}, flush=True)
    log.append({"step": step, "minutes": recipe.minutes, "loss": float(np.mean(losses[-200:]))})
    return net.eval(), log


def export(net: UnitNet, out: Path, recipe: Recipe, log: list[dict[str, float]], minutes: float) -> None:
    """Writes the weights (float16) with their settings, and a JSON that says how they were made."""
    out.mkdir(parents=True, exist_ok=True)
    settings = {"temperature": recipe.temperature, "hop": HOP, "sample_rate_hz": 16000}
    metadata = {"format_version": str(FORMAT_VERSION), "name": "builtin", "settings": json.dumps(settings)}
    save_file(quantise(net.state_dict()), out / "encoder.safetensors", metadata)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    data = (out / "encoder.safetensors").read_bytes()
    story = {
        "fingerprint": hashlib.sha256(data).hexdigest()[:16],
        "settings": settings,
        "recipe": asdict(recipe),
        "corpus_minutes": round(minutes, 1),
        "commit": commit,
        "machine": platform.processor() or platform.machine(),
        "torch": torch.__version__,
        "made": time.strftime("%Y-%m-%d %H:%M"),
        "log": log,
    }
    (out / "encoder.json").write_text(json.dumps(story, indent=1) + "\n")


def prepare_targets(teacher: Teacher, folder: Path, path: Path) -> tuple[Projection, Units]:
    """Discriminant and units of this corpus; kept in ``path`` so that evaluation uses the same ones."""
    if not path.exists():
        clips, labels, voices = labelled_speech()
        features = teacher.features(clips)
        lengths = [len(f) for f in features]
        of_frame = np.concatenate([row[:n] for row, n in zip(labels, lengths, strict=True)])
        voice_of_frame = np.repeat(np.array(voices), lengths)
        names, counts = np.unique(of_frame, return_counts=True)
        keep = np.isin(of_frame, names[counts >= RARE_PHONE_FRAMES])
        x = torch.from_numpy(np.concatenate(features)[keep]).float()
        project = Projection.fit(x, of_frame[keep], voice_of_frame[keep])
        joint = joint_features(folder, project)
        units = fit_units(torch.cat([f for name, f in joint.items() if not name.startswith("shifted")]))
        parts = {"projection": project.matrix.half(), "centroids": units.centroids}
        save_file({k: v.contiguous() for k, v in parts.items()} | {"scale": torch.tensor(units.scale)}, path)
    return load_targets(path)


def unseen_checks(shared: Path, project: Projection, units: Units, teacher: Teacher, limit: int = 60) -> list[Check]:
    """Allison's held-out clips and some of the Italian speaker's."""
    allison = shared / "data" / "en_US_f_Allison"
    _, held = split_held_out(json.loads((allison / "index.json").read_text()))
    carlo = sorted((shared / "data" / "it_IT_m_Carlo").glob("*.flac"))
    some = carlo[:: max(1, len(carlo) // limit)]
    return [
        Check("allison_held_out", [read_clip(allison / name) for name in held], project, units, teacher),
        Check("carlo", [read_clip(path) for path in some], project, units, teacher),
    ]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("pretrain/builtin"))
    parser.add_argument("--cache", type=Path, default=Path("workspace/encoder_training"))
    parser.add_argument("--minutes", type=float, default=Recipe.minutes)
    parser.add_argument("--threads", type=int, default=Recipe.threads)
    parser.add_argument("--start", type=Path, help="an encoder.safetensors to go on from")
    parser.add_argument("--peak-rate", type=float, default=Recipe.peak_rate)
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    args = parser.parse_args()
    recipe = Recipe(minutes=args.minutes, threads=args.threads, peak_rate=args.peak_rate, seed=args.seed)
    torch.set_num_threads(recipe.threads)
    corpus = build(args.shared, args.cache)
    folder = teach(corpus, args.cache, recipe.threads)
    teacher = Teacher()
    project, units = prepare_targets(teacher, folder, args.cache / "units.safetensors")
    features = joint_features(folder, project)
    checks = unseen_checks(args.shared, project, units, teacher)
    data = Data(corpus, features, units, recipe.seed)
    minutes = sum(len(f) for f in features.values()) / 50 / 60
    print(f"{minutes:.0f} minutes of {len(features)} voices ready", flush=True)
    net, log = train(data, checks, recipe, args.start)
    export(net, args.out, recipe, log, minutes)
    shutil.copyfile(args.cache / "units.safetensors", args.out / "units.safetensors")  # evaluation asks for them
    for check in checks:
        print(check.name, check(net))


if __name__ == "__main__":
    main()
