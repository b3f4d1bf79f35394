"""openvpi's NSF-HiFi-GAN: log mel and pitch to audio, and the tensor before the last tanh."""

import re
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.parity.base import AUDIO, AUDIO_FULL, Case, Folder, Quantity, TensorCase, tensor_cases
from core.engines.sovits.vocoder import Vocoder, parse_vocoder_config, prepare_vocoder
from core.nn.noise import Noise, NoNoise

_FULL_CHANNELS = 256
_SEEDED = re.compile(r"(?:manual_)?seed(?:ed)?_?(\d+)\.audio")


def find(folder: Folder) -> list[Case]:
    """Cases with a mel, a pitch and audio; their settings stand in the metadata."""
    cases = tensor_cases(folder, lambda case: {"mel", "f0"} <= case.keys and _settings(case) is not None)
    return [Case("vocoder", case.stem, partial(run, case)) for case in cases]


def _settings(case: TensorCase) -> Any:
    """A vocoder's config.json, under `h`, under `config` or spread over the metadata."""
    said = (case.about.get("h"), case.about.get("config"), case.about)
    return next((one for one in said if isinstance(one, dict) and "num_mels" in one), None)


def run(case: TensorCase) -> list[Quantity]:
    """All comparisons of one vocoder, as loaded and as prepared for use."""
    config, sheet = parse_vocoder_config(_settings(case)), case.sheet()
    tolerance = AUDIO_FULL if config.upsample_initial_channel >= _FULL_CHANNELS else AUDIO
    vocoder = Vocoder(config)
    case.fill(vocoder.decoder)
    mel, f0 = sheet.given("mel"), sheet.given("f0")
    seeds = {name: int(match[1]) for name in sheet.values if (match := _SEEDED.fullmatch(name))}
    before: list[Tensor] = []
    vocoder.decoder.conv_post.register_forward_hook(lambda _m, _i, output: before.append(output))
    for suffix in ("", " (prepared)"):
        sheet.check("zeronoise.audio", vocoder.infer(mel, f0, NoNoise()), tolerance, "zeronoise.audio" + suffix)
        if not suffix:
            sheet.check("zeronoise.pre_tanh", before[0], tolerance)
        for name, seed in seeds.items():
            noise = Noise(torch.Generator().manual_seed(seed))
            sheet.check(name, vocoder.infer(mel, f0, noise), tolerance, name + suffix)
        prepare_vocoder(vocoder)
    return sheet.close()
