"""so-vits-svc generators: inference in every mode, its intermediates, and a training pass. Any config, any size."""

import math
import re
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.parity.base import AUDIO, AUDIO_FULL, Case, Folder, Quantity, Sheet, TensorCase, compare, tensor_cases
from benchmarks.parity.recipe import inputs, speaker_weights
from core.engines.sovits.anatomy import generator_fields
from core.engines.sovits.config import DataConfig, ModelConfig, SovitsConfig, parse_config
from core.engines.sovits.losses import f0_loss, kl_loss, mel_loss
from core.engines.sovits.model import SEGMENT_FRAMES, SovitsGenerator, TrainOutput, prepare_for_inference
from core.nn.fast_hifigan import FastNsfHifiGan
from core.nn.masks import cut
from core.nn.noise import Noise, NoNoise
from core.nn.spectral import mel_from_spectrogram, mel_spectrogram

_RUN = re.compile(
    r"(?P<noise>zero_?noise|(manual_)?seed(ed)?_?(?P<seed>\d+)(_ns(?P<scale>\d+(\.\d+)?))?)(?P<modes>(_[a-z0-9]+)*)\."
)
_DEFAULT_SCALE = "0.4"
_FULL_WIDTH = 128
# The recipe's seeds and sizes of inputs that a case leaves out.
_SEED, _TRAIN_SEED, _TRAIN_LENGTHS = 7, 21, (48, 39)


def find(folder: Folder) -> list[Case]:
    """Cases with what a generator gives: audio at some noise, or a training pass."""
    cases = tensor_cases(folder, _is_generator)
    return [Case("generator", case.stem, partial(run, case)) for case in cases]


def _is_generator(case: TensorCase) -> bool:
    runs = any(_RUN.match(name) or name.startswith("train.") for name in case.keys)
    return runs and "h" not in case.about and ("config" in case.about or bool({"in.c", "train_in.c"} & case.keys))


def case_config(model: dict[str, Any]) -> SovitsConfig:
    """A whole config from its model section, or from a whole one; keys that no generator has are left out."""
    data = model.get("data", {})
    model = model.get("model", model)
    model = {name: value for name, value in model.items() if name in ModelConfig.model_fields}
    hop = math.prod(model.get("upsample_rates", [512]))
    data = {name: value for name, value in data.items() if name in DataConfig.model_fields}
    return parse_config({"model": model, "data": {**data, "hop_length": hop}, "spk": {"first": 0}})


def config_of(case: TensorCase) -> SovitsConfig:
    """What is said of the case; where nothing is, what the shapes of its weights say."""
    said = case.about.get("config", case.about)
    if isinstance(said, dict) and {"config", "hidden_channels", "model", "ssl_dim"} & (said.keys() | case.about.keys()):
        return case_config(said)
    if not (shapes := case.shapes()):
        raise ValueError("neither a config in the metadata nor a file of weights says what this generator is made of")
    return case_config(generator_fields(shapes))


def run(case: TensorCase) -> list[Quantity]:
    """All comparisons of one generator."""
    config, sheet = config_of(case), case.sheet()
    model = SovitsGenerator(config)
    case.fill(model)
    tolerance = AUDIO_FULL if config.model.hidden_channels >= _FULL_WIDTH else AUDIO
    audio_tolerance = tolerance
    if config.model.vocoder_name == "nsf-snake-hifigan":
        # With made-up weights its tanh saturates: what counts is the tensor before, and its size sets the scale.
        audio_tolerance *= max(1.0, _before_tanh(model, sheet))
    _inference(model, sheet, tolerance, audio_tolerance)
    if any(name.startswith("train.") for name in sheet.values):
        _training(model, sheet, tolerance, audio_tolerance)
    prepare_for_inference(model)
    _inference(model, sheet, tolerance, audio_tolerance, " (prepared)")
    return sheet.close()


def _before_tanh(model: SovitsGenerator, sheet: Sheet) -> float:
    """The largest value before the last tanh: theirs where the case holds it, else ours."""
    given = [float(x.abs().max()) for name, x in sheet.values.items() if name.endswith("dec.conv_post")]
    if given or not any(name.endswith(".audio") for name in sheet.values):
        return max(given, default=0.0)
    seen, hooks = _watch(model, {"dec.conv_post"})
    model.infer(*_inputs(model, sheet, ""), generator=NoNoise())
    for hook in hooks:
        hook.remove()
    return float(seen["dec.conv_post"].abs().max())


def _inputs(model: SovitsGenerator, sheet: Sheet, modes: str) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None]:
    """Units, pitch, voicing, speaker and volume of a mode of inference; the recipe's where the case holds none."""
    sizes = model.config.model
    n_frames = max(x.shape[-1] for name, x in sheet.values.items() if name.endswith(".audio")) // sizes.hop_samples
    n_speakers = sizes.n_speakers
    drawn = inputs(sizes.ssl_dim, n_frames, 1, _SEED)
    drawn |= {"sid": torch.tensor([[min(1, n_speakers - 1)]]), "spkmix_weights": speaker_weights(n_frames, n_speakers)}

    def one(name: str) -> Tensor:
        return sheet.given(f"in.{name}") if f"in.{name}" in sheet else drawn[name]

    f0 = one("f0_zeroed" if "zeroed" in modes else "f0")
    speaker = one("spkmix_weights" if "mix" in modes else "sid")
    if numbered := re.search(r"(?:sid|spk|speaker)_?(\d+)", modes):
        speaker = torch.tensor([[int(numbered[1])]])
    return one("c"), f0, one("uv"), speaker, one("vol") if sizes.vol_embedding else None


_MODES = re.compile(r"(_(f0_?zeroed|zeroed(_f0)?|predict_?f0|auto_?f0|spk_?mix|mix|(sid|spk|speaker)_?\d+))*")


def _inference(
    model: SovitsGenerator, sheet: Sheet, tolerance: float, audio_tolerance: float, suffix: str = ""
) -> None:
    """Every run that the sheet's names speak of, compared where it gave something."""
    sheet.ignore(*(name for name in sheet.values if name.startswith("in.")))
    runs = {match.group(): match for name in sheet.values if (match := _RUN.match(name))}
    for prefix, match in sorted(runs.items()):
        if not _MODES.fullmatch(match["modes"]):
            continue  # an unknown way of running: its values stay, and are named as unknown
        names = [name for name in sheet.values if name.startswith(prefix)]
        middles = {name: name.removeprefix(f"{prefix}mid.") for name in names if name.startswith(f"{prefix}mid.")}
        seen, hooks = _watch(model, set(middles.values()))
        seed, scale = match["seed"], match["scale"] or (_DEFAULT_SCALE if match["seed"] else "0")
        noise = NoNoise() if seed is None else Noise(torch.Generator().manual_seed(int(seed)))
        predict = "predict" in match["modes"] or "auto" in match["modes"]
        given = _inputs(model, sheet, match["modes"])
        audio, f0 = model.infer(*given, float(scale), predict_f0=predict, generator=noise)
        for hook in hooks:
            hook.remove()
        note, theirs = "", sheet.values.get(f"{prefix}f0")
        if predict and theirs is not None and f"{prefix}audio" in sheet:
            straight = compare("", audio, sheet.values[f"{prefix}audio"], audio_tolerance)
            if not straight.passed and seed is None:
                note = f"given their pitch; with ours, whose last bits add up in the phase, {straight.difference:.2g}"
                audio, _ = model.infer(given[0], theirs.reshape(f0.shape), *given[2:], 0.0, generator=NoNoise())
        sheet.check(f"{prefix}audio", audio, audio_tolerance, f"{prefix}audio{suffix}", note)
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


def _training_inputs(model: SovitsGenerator, sheet: Sheet) -> dict[str, Tensor | None]:
    """What the training pass is given; the recipe's where the case holds none."""
    units = sheet.values.get("train_in.c", torch.empty(2, model.config.model.ssl_dim, _TRAIN_LENGTHS[0]))
    seed = int(sheet.given("train_in.spec_recipe")) if "train_in.spec_recipe" in sheet else _TRAIN_SEED
    bins = model.config.data.filter_length // 2 + 1
    drawn = inputs(units.shape[1], units.shape[2], units.shape[0], seed, bins)
    drawn |= {"lengths": torch.tensor(_TRAIN_LENGTHS), "sid": torch.arange(len(units)).clamp(max=1)[:, None]}
    sheet.ignore("train_in.vol")
    given: dict[str, Tensor | None] = {
        name: sheet.given(f"train_in.{name}") if f"train_in.{name}" in sheet else drawn[name]
        for name in ("c", "f0", "uv", "spec", "lengths", "sid", "vol")
    }
    return given if model.config.model.vol_embedding else {**given, "vol": None}


def _training(model: SovitsGenerator, sheet: Sheet, tolerance: float, audio_tolerance: float) -> None:
    """The training pass and its losses."""
    given = _training_inputs(model, sheet)
    spec: Tensor = given["spec"]  # type: ignore[assignment]
    starts = sheet.given("train.ids") if "train.ids" in sheet else torch.zeros(len(spec), dtype=torch.long)
    with torch.no_grad():
        out = model(**given, generator=NoNoise(), starts=starts, f0_scale=torch.ones(len(spec)))
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
        "loss_mel": mel_loss(mel_hat, mel),
        "loss_kl": kl_loss(out.z_p, out.logs_q, out.m_p, out.logs_p, out.mask),
        "loss_lf0": f0_loss(out.predicted_lf0, out.lf0) if predicts else None,  # type: ignore[arg-type]
    }
    for name, value in expected.items():
        # A model without automatic pitch has none of the pitch values; upstream writes zeros there.
        sheet.check(f"train.{name}", nothing if value is None else value, tolerance)
