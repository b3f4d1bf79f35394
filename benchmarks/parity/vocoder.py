"""openvpi's NSF-HiFi-GAN: log mel and pitch to audio, and the tensor before the last tanh."""

import re
from functools import partial

import torch
from torch import Tensor

from benchmarks.parity.base import AUDIO, AUDIO_FULL, Case, Folder, Quantity, TensorCase, tensor_cases
from core.engines.sovits.vocoder import Vocoder, parse_vocoder_config, prepare_vocoder
from core.nn.noise import Noise, NoNoise

_FULL_CHANNELS = 256
_SEEDED = re.compile(r"manual_seed(\d+)\.audio")


def find(folder: Folder) -> list[Case]:
    """Cases whose metadata holds a vocoder's settings."""
    cases = tensor_cases(folder, lambda case, _keys: "h" in case.metadata)
    return [Case("vocoder", case.stem, partial(run, case)) for case in cases]


def run(case: TensorCase) -> list[Quantity]:
    """All comparisons of one vocoder, as loaded and as prepared for use."""
    config, sheet = parse_vocoder_config(case.meta("h")), case.sheet()
    tolerance = AUDIO_FULL if config.upsample_initial_channel >= _FULL_CHANNELS else AUDIO
    vocoder = Vocoder(config)
    case.fill(vocoder.decoder)
    mel, f0 = sheet.given("mel"), sheet.given("f0")
    seeds = [int(match[1]) for name in sheet.values if (match := _SEEDED.fullmatch(name))]
    before: list[Tensor] = []
    vocoder.decoder.conv_post.register_forward_hook(lambda _m, _i, output: before.append(output))
    for suffix in ("", " (prepared)"):
        sheet.check("zeronoise.audio", vocoder.infer(mel, f0, NoNoise()), tolerance, "zeronoise.audio" + suffix)
        if not suffix:
            sheet.check("zeronoise.pre_tanh", before[0], tolerance)
        for seed in seeds:
            name = f"manual_seed{seed}.audio"
            noise = Noise(torch.Generator().manual_seed(seed))
            sheet.check(name, vocoder.infer(mel, f0, noise), tolerance, name + suffix)
        prepare_vocoder(vocoder)
    return sheet.close()
