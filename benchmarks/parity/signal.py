"""Signal processing: every `.npz` whose contents are known, whatever its name."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.parity.base import DSP, EXACT, Case, Folder, Quantity, Sheet
from core.engines.sovits.join import follow_loudness, levels
from core.engines.sovits.pitch import F0_MAX_HZ, F0_MIN_HZ, N_BINS, coarse_f0, mel_of_hz, normalize_log_f0
from core.engines.sovits.retrieval import blend_centres, blend_neighbours, nearest
from core.features.align import align
from core.features.coarse import f0_to_coarse
from core.features.pitch import interpolate, resize_linear, resize_nearest
from core.features.volume import volume
from core.nn.noise import NoNoise
from core.nn.nsf import FirstFrameSineSource, SineSource
from core.nn.rmvpe import FMAX_HZ, FMIN_HZ, N_FFT, N_MELS, RATE_HZ, rmvpe_mel
from core.nn.spectral import mel_filterbank, mel_from_spectrogram, mel_spectrogram, spectrogram
from core.nn.vocoder_mel import VocoderMel

_RATE_HZ, _HOP = 44100, 512


def find(folder: Folder) -> list[Case]:
    """Cases that hold the names that one of the checks below needs."""
    cases = []
    for name in folder.names(".npz"):
        keys = folder.open(name, _names)
        if keys is None:
            continue
        for needed, check in _CHECKS.items():
            if all(any(re.fullmatch(pattern, key) for key in keys) for pattern in needed.split()):
                folder.take(name)
                cases.append(Case("signal", name.removesuffix(".npz"), partial(_run, folder.path / name, check)))
                break
    return cases


def _names(path: Path) -> list[str]:
    with np.load(path, allow_pickle=False) as data:
        return [name for name in data.files if data[name].shape is not None]  # reads each: a torn file shows here


def _run(path: Path, check: Callable[[Sheet], None]) -> list[Quantity]:
    with np.load(path, allow_pickle=False) as data:
        numbers = {
            name: torch.from_numpy(np.asarray(data[name])) for name in data.files if data[name].dtype.kind in "biuf"
        }
    sheet = Sheet(numbers)
    check(sheet)
    return sheet.close()


def _numpy(x: Tensor) -> NDArray[np.float32]:
    return x.numpy()


def _coarse(sheet: Sheet) -> None:
    f0 = sheet.given("f0")
    sheet.check("coarse", f0_to_coarse(f0), EXACT)
    sheet.check("coarse", coarse_f0(f0), EXACT, "coarse (in the generator)")
    constants = {"f0_min": F0_MIN_HZ, "f0_max": F0_MAX_HZ, "f0_bin": N_BINS}
    constants |= {"mel_min": mel_of_hz(F0_MIN_HZ), "mel_max": mel_of_hz(F0_MAX_HZ)}
    for name, value in constants.items():
        sheet.check(name, value, DSP)


def _align(sheet: Sheet) -> None:
    for name in sheet.left():
        if match := re.fullmatch(r"(\d+)_(left|nearest|linear)", name):
            units, target = sheet.given(f"{match[1]}_in"), int(sheet.given(f"{match[1]}_target"))
            sheet.check(name, align(units.T, target, match[2]).T, DSP)  # type: ignore[arg-type]


def _spectra(sheet: Sheet) -> None:
    wav = sheet.given("wav")
    sheet.check("volume", volume(_numpy(wav)), DSP)
    sheet.check("volume_raw_nopad", volume(_numpy(wav), centred=False), DSP)
    spec = spectrogram(wav)
    sheet.check("spec", spec, DSP)
    sheet.check("mel80", mel_from_spectrogram(spec), DSP)
    sheet.check("mel80_b", mel_spectrogram(wav), DSP)
    sheet.check("mel_basis80", mel_filterbank(), DSP)
    sheet.check("mel_basis128", mel_filterbank(_RATE_HZ, 2048, 128, 40.0, 16000.0), DSP)
    if "wav16k" in sheet:
        sheet.check("rmvpe_mel", rmvpe_mel(sheet.given("wav16k").unsqueeze(0)), DSP)
        sheet.check("rmvpe_mel_basis", mel_filterbank(RATE_HZ, N_FFT, N_MELS, FMIN_HZ, FMAX_HZ, htk=True), DSP)
    for name in sheet.left():
        if match := re.fullmatch(r"nvmel_keyshift(-?[\d.]+)", name):
            sheet.check(name, VocoderMel()(wav.unsqueeze(0), float(match[1])), DSP)


def _loudness(sheet: Sheet) -> None:
    source, before = _numpy(sheet.given("src")), _numpy(sheet.given("out_before"))
    for name, wav in (("rms_src", source), ("rms_out", before)):
        sheet.check(name, levels(wav, _RATE_HZ // 2), DSP)
    for name in sheet.left():
        if match := re.fullmatch(r"rate_([\d.]+)", name):
            out = before.copy()
            follow_loudness(out, source, _RATE_HZ, float(match[1]))
            sheet.check(name, out, DSP)


def _pitch(sheet: Sheet) -> None:
    for name in sheet.left():
        match = re.fullmatch(r"(rmvpe|crepe|fcpe|pm|dio|harvest)_(\d+)_f0", name)
        if not match:
            continue
        kind, number = match.groups()
        if f"{kind}_{number}_target" in sheet:
            track = _numpy(sheet.given(f"{kind}_{number}_in"))
            f0, uv = interpolate(resize_nearest(track, int(sheet.given(f"{kind}_{number}_target"))))
        else:
            # The cases of dio and harvest start from the track of pm with the same number.
            own = f"{kind}_{number}_in"
            track = _numpy(sheet.given(own if own in sheet else f"pm_{number}_in"))
            if f"{kind}_{number}_resized" in sheet:
                track = resize_linear(track, sheet.values[f"{kind}_{number}_resized"].numel())
                sheet.check(f"{kind}_{number}_resized", track, DSP)
            f0, uv = interpolate(track, _HOP / _RATE_HZ)
        sheet.check(name, f0, DSP)
        sheet.check(f"{kind}_{number}_uv", uv, EXACT)


def _normalize(sheet: Sheet) -> None:
    sheet.check("out", normalize_log_f0(sheet.given("lf0"), sheet.given("x_mask"), sheet.given("uv")), DSP)


def _retrieval(sheet: Sheet) -> None:
    x = sheet.given("x")
    if "centers" in sheet:
        sheet.check("cluster_center", blend_centres(x, sheet.given("centers"), 1.0), DSP)
    if "retrieval_bank" in sheet:
        bank = sheet.given("retrieval_bank")
        distance, rows = nearest(x, bank, sheet.values["retrieval_ix"].shape[1])
        sheet.check("retrieval_ix", rows, EXACT)
        sheet.check("retrieval_sqdist", distance, DSP)
        sheet.check("retrieval_npy", blend_neighbours(x, bank, 1.0), DSP)
    for name in sheet.left():
        if match := re.fullmatch(r"(cluster|retrieval)_blend_(\d+)p(\d+)", name):
            share = float(f"{match[2]}.{match[3]}")
            if match[1] == "cluster":
                sheet.check(name, blend_centres(x, sheet.given("centers"), share), DSP)
            else:
                sheet.check(name, blend_neighbours(x, sheet.given("retrieval_bank"), share), DSP)


def _sines(sheet: Sheet) -> None:
    f0 = sheet.given("f0")
    voiced = (f0 > 0).repeat_interleave(_HOP, dim=1).unsqueeze(2)
    for name, source in (("decoder", SineSource), ("openvpi", FirstFrameSineSource)):
        sheet.check(f"{name}_sine", source(_RATE_HZ, _HOP)(f0, NoNoise()), DSP)
        sheet.check(f"{name}_uv", voiced, EXACT)


# The names (as patterns) that tell a kind of case, and how it is checked.
_CHECKS: dict[str, Callable[[Sheet], None]] = {
    "f0 coarse": _coarse,
    r"\d+_in \d+_target \d+_(left|nearest|linear)": _align,
    "wav (volume.*|spec|mel.*|nvmel.*)": _spectra,
    "src out_before": _loudness,
    "lf0 x_mask uv out": _normalize,
    "x centers": _retrieval,
    "x retrieval_bank": _retrieval,
    "f0 (decoder|openvpi)_sine": _sines,
    r"(rmvpe|crepe|fcpe|pm|dio|harvest)_\d+_f0": _pitch,
}
