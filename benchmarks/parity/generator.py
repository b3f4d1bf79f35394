"""so-vits-svc generators: inference in every mode, its intermediates, and a training pass. Any config, any size."""

import re
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.parity.base import AUDIO, AUDIO_FULL, Case, Folder, Quantity, Sheet, TensorCase, tensor_cases
from benchmarks.parity.recipe import train_spectrogram
from core.engines.sovits.config import SovitsConfig, parse_config
from core.engines.sovits.losses import f0_loss, kl_loss, mel_loss
from core.engines.sovits.model import SEGMENT_FRAMES, SovitsGenerator, TrainOutput, prepare_for_inference
from core.nn.fast_hifigan import FastNsfHifiGan
from core.nn.masks import cut
from core.nn.noise import Noise, NoNoise
from core.nn.spectral import mel_from_spectrogram, mel_spectrogram

_RUN = re.compile(r"(zeronoise|seeded(?P<seed>\d+)_ns(?P<scale>\d+(\.\d+)?))(_(?P<mode>f0zeroed|predictf0|spkmix))?\.")
_FULL_WIDTH = 128


def find(folder: Folder) -> list[Case]:
    """Cases whose metadata holds a generator's config."""
    cases = tensor_cases(folder, lambda case, _keys: "config" in case.metadata)
    return [Case("generator", case.stem, partial(run, case)) for case in cases]


def case_config(model: dict[str, Any]) -> SovitsConfig:
    """A whole config from its model section."""
    hop = 1
    for rate in model.get("upsample_rates", [512]):
        hop *= rate
    return parse_config({"model": model, "data": {"hop_length": hop}, "spk": {"first": 0}})


def run(case: TensorCase) -> list[Quantity]:
    """All comparisons of one generator."""
    config, sheet = case_config(case.meta("config")), case.sheet()
    model = SovitsGenerator(config)
    case.fill(model)
    tolerance = AUDIO_FULL if config.model.hidden_channels >= _FULL_WIDTH else AUDIO
    audio_tolerance = tolerance
    if config.model.vocoder_name == "nsf-snake-hifigan":
        # With made-up weights its tanh saturates: what counts is the tensor before, and its size sets the scale.
        before = [x.abs().max() for name, x in sheet.values.items() if name.endswith("dec.conv_post")]
        audio_tolerance *= max([1.0, *map(float, before)])
    _inference(model, sheet, tolerance, audio_tolerance)
    if any(name.startswith("train.") for name in sheet.values):
        _training(model, sheet, tolerance, audio_tolerance)
    prepare_for_inference(model)
    _inference(model, sheet, tolerance, audio_tolerance, " (prepared)")
    return sheet.close()


def _inputs(sheet: Sheet, mode: str | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Units, pitch, voicing and speaker of a mode of inference."""
    f0 = sheet.given("in.f0_zeroed" if mode == "f0zeroed" else "in.f0")
    speaker = sheet.given("in.spkmix_weights" if mode == "spkmix" else "in.sid")
    return sheet.given("in.c"), f0, sheet.given("in.uv"), speaker


def _inference(
    model: SovitsGenerator, sheet: Sheet, tolerance: float, audio_tolerance: float, suffix: str = ""
) -> None:
    """Every run that the sheet's names speak of, compared where it gave something."""
    sheet.ignore(*(name for name in sheet.values if name.startswith("in.")))
    vol = sheet.values["in.vol"] if model.config.model.vol_embedding else None
    runs = {match.group(): match for name in sheet.values if (match := _RUN.match(name))}
    for prefix, match in sorted(runs.items()):
        names = [name for name in sheet.values if name.startswith(prefix)]
        middles = {name: name.removeprefix(f"{prefix}mid.") for name in names if name.startswith(f"{prefix}mid.")}
        seen, hooks = _watch(model, set(middles.values()))
        seed, scale, mode = match["seed"], match["scale"], match["mode"]
        noise = NoNoise() if seed is None else Noise(torch.Generator().manual_seed(int(seed)))
        audio, f0 = model.infer(
            *_inputs(sheet, mode), vol, float(scale or 0), predict_f0=mode == "predictf0", generator=noise
        )
        for hook in hooks:
            hook.remove()
        sheet.check(f"{prefix}audio", audio, audio_tolerance, f"{prefix}audio{suffix}")
        sheet.check(f"{prefix}f0", f0, tolerance, f"{prefix}f0{suffix}")
        for name, path in middles.items():
            if path in seen:
                sheet.check(name, seen[path], tolerance, name + suffix)


def _watch(model: SovitsGenerator, paths: set[str]) -> tuple[dict[str, Tensor], list[Any]]:
    """Record what modules give, under the paths of the fixtures: `module` or `module.number of the output`.

    Paths of modules that the model has rearranged away are left out.
    """
    seen: dict[str, Tensor] = {}
    modules = dict(model.named_modules())
    hooks = []
    for name in {path if path in modules else path.rpartition(".")[0] for path in paths}:
        if name in modules and not _rearranged(model, name):
            hooks.append(modules[name].register_forward_hook(partial(_record, seen, name)))
    return seen, hooks


def _rearranged(model: SovitsGenerator, name: str) -> bool:
    """Whether a module is part of a decoder whose inner tensors lie in another order than upstream's."""
    return isinstance(model.dec, FastNsfHifiGan) and name.startswith("dec.") and name != "dec.m_source"


def _record(seen: dict[str, Tensor], name: str, _module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
    if name == "enc_p":  # upstream's gives a sample too, and the mask
        mean, logs = output
        output = (mean, mean, logs, torch.ones_like(mean[:, :1]))
    elif name == "dec.m_source":  # upstream's gives its noise and the voicing too
        voiced = (inputs[0] > 0).float().repeat_interleave(output.shape[2] // inputs[0].shape[1], dim=1)
        output = (output.transpose(1, 2), torch.zeros_like(output), voiced)
    if isinstance(output, tuple):
        seen.update({f"{name}.{index}": value for index, value in enumerate(output)})
    else:
        seen[name] = output


def _training(model: SovitsGenerator, sheet: Sheet, tolerance: float, audio_tolerance: float) -> None:
    """The training pass and its losses."""
    c, f0, lengths, uv = (sheet.given(f"train_in.{name}") for name in ("c", "f0", "lengths", "uv"))
    bins = model.config.data.filter_length // 2 + 1
    seed = int(sheet.given("train_in.spec_recipe"))
    spec = train_spectrogram(c.shape[1], c.shape[2], c.shape[0], seed, bins)
    sheet.ignore("train_in.vol")
    vol = sheet.values["train_in.vol"] if model.config.model.vol_embedding else None
    with torch.no_grad():
        out = model(
            c,
            f0,
            uv,
            spec,
            lengths,
            sheet.given("train_in.sid"),
            vol,
            generator=NoNoise(),
            starts=sheet.given("train.ids"),
            f0_scale=torch.ones(len(c)),
        )
    data = model.config.data
    mel = partial(mel_spectrogram, n_mels=data.n_mel_channels, fmin_hz=data.mel_fmin, fmax_hz=data.mel_fmax)
    of_spec = partial(mel_from_spectrogram, n_mels=data.n_mel_channels, fmin_hz=data.mel_fmin, fmax_hz=data.mel_fmax)
    y_mel = cut(of_spec(spec), out.starts, SEGMENT_FRAMES)
    sheet.check("train.o", out.audio, audio_tolerance)
    _check_training(sheet, out, y_mel, mel(out.audio.squeeze(1)), tolerance)


def _check_training(sheet: Sheet, out: TrainOutput, mel: Tensor, mel_hat: Tensor, tolerance: float) -> None:
    nothing = torch.zeros(())
    predicts = out.predicted_lf0 is not None and out.lf0 is not None
    expected = {
        **{name: getattr(out, name) for name in ("z", "z_p", "m_p", "logs_p", "m_q", "logs_q")},
        "z_mask": out.mask,
        "lf0": out.lf0,
        "norm_lf0": out.normal_lf0,
        "pred_lf0": out.predicted_lf0,
        "y_mel": mel,
        "y_hat_mel": mel_hat,
        "loss_mel_x45": 45 * mel_loss(mel_hat, mel),
        "loss_kl": kl_loss(out.z_p, out.logs_q, out.m_p, out.logs_p, out.mask),
        "loss_lf0": f0_loss(out.predicted_lf0, out.lf0) if predicts else None,  # type: ignore[arg-type]
    }
    for name, value in expected.items():
        # A model without automatic pitch has none of the pitch values; upstream writes zeros there.
        sheet.check(f"train.{name}", nothing if value is None else value, tolerance)
