"""The shallow diffusion model: condition, denoiser, single steps, all samplers, and the training loss."""

import re
from functools import partial

import torch
from torch import Tensor

from benchmarks.parity.base import AUDIO, AUDIO_FULL, SAMPLER, Case, Folder, Quantity, Sheet, TensorCase, tensor_cases
from core.engines.sovits.diffusion.model import METHODS, DiffusionSizes, Unit2Mel
from core.nn import samplers
from core.nn.noise import Noise, NoNoise

_FULL_CHANNELS = 256
_QSAMPLE_NOISE = 0.3  # the fixtures' q_sample adds this constant
_SAMPLE = re.compile(
    r"(?P<kind>shallow|full)(_k(?P<k>\d+))?(_sp(?P<sp>\d+))?_(?P<method>ddpm|naive|ddim|pndm|dpm-solver(\+\+)?|unipc)"
    r"(_speedup(?P<speedup>\d+))?_(zeronoise|(manual_)?seed(?P<seed>\d+)(_randn)?)"
)
_LOSS = re.compile(r"train_loss_t(?P<t>\d+)_(zeronoise|seed(?P<seed>\d+)_randn)")


def find(folder: Folder) -> list[Case]:
    """Cases whose constructor has the nine values of a diffusion model."""
    cases = tensor_cases(folder, lambda case, keys: "ctor" in case.metadata and "den.eps" in keys)
    return [Case("diffusion", case.stem, partial(run, case)) for case in cases]


def sizes_of(ctor: list[int]) -> DiffusionSizes:
    """Of the constructor's nine values: units, speakers, pitch augmentation, mels, layers, channels and so on."""
    units, speakers, augmented, mels, layers, channels, hidden, steps, k_step_max = ctor
    return DiffusionSizes(
        units, speakers, bool(augmented), mels, layers, channels, hidden, steps, k_step_max if k_step_max else 0
    )


def run(case: TensorCase) -> list[Quantity]:
    """All comparisons of one diffusion model."""
    sheet, sizes = case.sheet(), sizes_of(case.meta("ctor"))
    model = Unit2Mel(sizes)
    case.fill(model)
    tolerance = AUDIO_FULL if sizes.n_channels >= _FULL_CHANNELS else AUDIO
    speaker = sheet.given("spk_id") if "spk_id" in sheet else None
    inputs = (sheet.given("units"), sheet.given("f0")[..., 0], sheet.given("volume")[..., 0], speaker)
    shift = torch.tensor([float(case.metadata.get("aug_shift", 0))])
    with torch.inference_mode():
        condition = model.condition(*inputs)
        sheet.check("condition_B_T_H", condition, tolerance)
        _steps(model, sheet, tolerance)
        _losses(model, sheet, model.condition(*inputs, shift=shift), tolerance)
    _samplers(model, sheet, condition)
    return sheet.close()


def _steps(model: Unit2Mel, sheet: Sheet, tolerance: float) -> None:
    """One call of the denoiser, and one step of each kind from it."""
    x, decoder = sheet.given("den.x"), model.decoder
    eps = sheet.values["den.eps"]
    sheet.check("den.eps", decoder.denoise_fn(x, sheet.given("den.t"), sheet.given("den.cond")), tolerance)
    for name in sheet.left():
        if match := re.fullmatch(r"qsample_t(\d+)", name):
            noise = torch.full_like(x, _QSAMPLE_NOISE)
            sheet.check(name, decoder.noised(x, int(match[1]), noise), tolerance, note="noise 0.3")
        elif match := re.fullmatch(r"ddim_step_t(\d+)_int(\d+)", name):
            sheet.check(name, samplers.ddim_step(decoder, x, int(match[1]), int(match[2]), eps), tolerance)
        elif match := re.fullmatch(r"ddpm_(mean|logvar)_t(\d+)", name):
            t = int(match[2])
            posterior = decoder.posterior(decoder.clean_of(x, t, eps).clamp(-1, 1), x, t)
            sheet.check(name, posterior[match[1] == "logvar"], tolerance)


def _noise(seed: str | None) -> Noise:
    return NoNoise() if seed is None else Noise(torch.Generator().manual_seed(int(seed)))


def _losses(model: Unit2Mel, sheet: Sheet, condition: Tensor, tolerance: float) -> None:
    for name in sheet.left():
        if match := _LOSS.fullmatch(name):
            t = torch.tensor([min(int(match["t"]), model.decoder.trained_steps - 1)])
            loss = model.loss(condition, sheet.values["gt_mel"], t, _noise(match["seed"]))
            sheet.check(name, loss, tolerance, note=f"t = {int(t)}")


def _samplers(model: Unit2Mel, sheet: Sheet, condition: Tensor) -> None:
    for name in sheet.left():
        match = _SAMPLE.fullmatch(name)
        if not match:
            continue
        method = "naive" if match["method"] == "ddpm" else match["method"]
        assert method in METHODS
        mel = sheet.given("gt_mel") if match["kind"] == "shallow" else None
        made = model.sample(
            condition,
            mel,
            k_step=int(match["k"] or model.decoder.trained_steps),
            speedup=int(match["sp"] or match["speedup"] or 1),
            method=method,
            generator=_noise(match["seed"]),
        )
        sheet.check(name, made, SAMPLER)
    sheet.ignore("gt_mel")
