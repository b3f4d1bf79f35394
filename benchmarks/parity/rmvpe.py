"""RMVPE: mel to salience, and salience to pitch."""

import re
from functools import partial

import torch

from benchmarks.parity.base import AUDIO_FULL, DSP, Case, Folder, Quantity, TensorCase, tensor_cases
from core.nn.rmvpe import Rmvpe, salience_to_cents, salience_to_hz

_RELEASED = "E2E0(4,1,(2,2))"


def find(folder: Folder) -> list[Case]:
    """Cases of the released network; others stay unknown."""
    cases = tensor_cases(folder, lambda case, _keys: case.metadata.get("ctor", "").replace(" ", "") == _RELEASED)
    return [Case("rmvpe", case.stem, partial(run, case)) for case in cases]


def run(case: TensorCase) -> list[Quantity]:
    """The network and the decoding of its output."""
    sheet = case.sheet()
    if "salience" in sheet:
        model = Rmvpe()
        case.fill(model)
        with torch.inference_mode():
            sheet.check("salience", model(sheet.given("mel")), AUDIO_FULL)
    if "decode.salience" in sheet:
        salience = sheet.given("decode.salience")
        sheet.check("decode.cents", salience_to_cents(salience), DSP)
        for name in sheet.left():
            if match := re.fullmatch(r"decode\.f0_thred([\d.]+)", name):
                sheet.check(name, salience_to_hz(salience, float(match[1])), DSP)
    return sheet.close()
