"""The shallow diffusion model: condition, denoiser, single steps, all samplers, and the training loss."""

import re
from functools import partial

import torch
from torch import Tensor

from benchmarks.parity.base import AUDIO, AUDIO_FULL, SAMPLER, Case, Folder, Quantity, Sheet, TensorCase, tensor_cases
from core.engines.sovits.diffusion.model import DiffusionSizes, Unit2Mel
from core.nn import samplers
from core.nn.noise import Noise, NoNoise

_FULL_CHANNELS = 256
_QSAMPLE_NOISE = 0.3  # the fixtures' q_sample adds this constant
_METHOD = re.compile(r"(?<![a-z])(ddpm|naive|ddim|pndm|dpm-solver\+\+|dpm-solver|unipc)(?![a-z])")
_K_STEP, _SPEEDUP = re.compile(r"_k(?:_?step)?_?(\d+)"), re.compile(r"_(?:sp|speed_?up)_?(\d+)")
_SEED, _LOSS = re.compile(r"seed_?(\d+)"), re.compile(r"(?:train_)?loss_t(\d+)_\w+")


def find(folder: Folder) -> list[Case]:
    """Cases with the units and the mel of a diffusion model."""
    cases = tensor_cases(folder, lambda case: {"units", "volume"} <= case.keys)
    return [Case("diffusion", case.stem, partial(run, case)) for case in cases]


_FIELDS = ("input_channel", "n_spk", "use_pitch_aug", "out_dims", "n_layers", "n_chans", "n_hidden", "timesteps")


def sizes_of(case: TensorCase) -> DiffusionSizes:
    """Of the constructor's nine values: units, speakers, pitch augmentation, mels, layers, channels and so on."""
    said = case.about.get("ctor", case.about.get("config"))
    if isinstance(said, dict):
        said = [said[name] for name in _FIELDS] + [said.get("k_step_max")]
    if not isinstance(said, list):
        raise ValueError("the metadata does not say what this diffusion model is made of (`ctor`)")
    units, speakers, augmented, *sizes = said  # None: upstream's default
    mels, layers, channels, hidden, steps = sizes[:5]
    k_step_max = (sizes[5] if len(sizes) > 5 else 0) or 0
    return DiffusionSizes(
        units, speakers or 1, bool(augmented), mels, layers, channels, hidden, steps or 1000, k_step_max
    )


def run(case: TensorCase) -> list[Quantity]:
    """All comparisons of one diffusion model."""
    sheet, sizes = case.sheet(), sizes_of(case)
    model = Unit2Mel(sizes)
    case.fill(model)
    tolerance = AUDIO_FULL if sizes.n_channels >= _FULL_CHANNELS else AUDIO
    inputs = (sheet.given("units"), sheet.given("f0")[..., 0], sheet.given("volume")[..., 0])
    speaker = sheet.given("spk_id") if "spk_id" in sheet else torch.zeros(1, 1, dtype=torch.long)
    mix = next((x for name, x in sheet.values.items() if "mix" in name and x.shape[-1] == sizes.n_speakers), None)
    shift = torch.tensor([float(sheet.values.get("aug_shift", case.about.get("aug_shift", 0)))])
    sheet.ignore("aug_shift", *(name for name, x in sheet.values.items() if x is mix))
    with torch.inference_mode():
        condition, shifted = model.condition(*inputs, speaker), model.condition(*inputs, speaker, shift)
        for name in [name for name in sheet.values if name.startswith("condition")]:
            mixed = mix is not None and "mix" in name
            ours = model.condition(*inputs, mix) if mixed else shifted if "shift" in name else condition
            sheet.check(name, ours, tolerance)
        _steps(model, sheet, tolerance)
        _losses(model, sheet, shifted, tolerance)
    _samplers(model, sheet, condition)
    return sheet.close()


def _steps(model: Unit2Mel, sheet: Sheet, tolerance: float) -> None:
    """One call of the denoiser, and one step of each kind from it."""
    if not {"den.x", "den.t", "den.cond", "den.eps"} <= sheet.values.keys():
        return
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


def _noise(name: str) -> Noise:
    """What a value's name says of its noise: a seed, or none."""
    seed = _SEED.search(name)
    if seed is None and "zero" not in name:
        raise ValueError(f"{name} says neither a seed nor that there was no noise")
    return Noise(torch.Generator().manual_seed(int(seed[1]))) if seed else NoNoise()


def _losses(model: Unit2Mel, sheet: Sheet, condition: Tensor, tolerance: float) -> None:
    for name in sheet.left():
        if match := _LOSS.fullmatch(name):
            t = torch.tensor([min(int(match[1]), model.decoder.trained_steps - 1)])
            loss = model.loss(condition, sheet.values["gt_mel"], t, _noise(name))
            sheet.check(name, loss, tolerance, note=f"t = {int(t)}")


def _samplers(model: Unit2Mel, sheet: Sheet, condition: Tensor) -> None:
    """Every value whose name says a sampler and whether it starts from a mel (shallow) or from noise (full)."""
    for name in sheet.left():
        kind, method = re.search("shallow|full", name), _METHOD.search(name)
        if not kind or not method:
            continue
        k_step, speedup = _K_STEP.search(name), _SPEEDUP.search(name)
        made = model.sample(
            condition,
            sheet.given("gt_mel") if kind[0] == "shallow" else None,
            k_step=int(k_step[1]) if k_step else model.decoder.trained_steps,
            speedup=int(speedup[1]) if speedup else 1,
            method="naive" if method[1] == "ddpm" else method[1],
            generator=_noise(name),
        )
        sheet.check(name, made, SAMPLER)
    sheet.ignore("gt_mel")
