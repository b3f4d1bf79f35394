"""RMVPE: mel to salience, and salience to pitch."""

import re
from functools import partial

import torch
from torch import nn

from benchmarks.parity.base import AUDIO_FULL, DSP, Case, Folder, Quantity, TensorCase, tensor_cases
from core.nn.rmvpe import Rmvpe, _UNet, salience_to_cents, salience_to_hz

_RELEASED = "E2E0(4,1,(2,2))"
_CTOR = re.compile(r"E2E0?\((?P<blocks>\d+),1,\(2,2\)(?P<more>(,\w+=\d+)*)\)")


def find(folder: Folder) -> list[Case]:
    """Cases with a salience, of the released network or of one of other sizes."""
    cases = tensor_cases(folder, lambda case: bool({"salience", "decode.salience"} & case.keys))
    return [Case("rmvpe", case.stem, partial(run, case)) for case in cases]


def network(ctor: str) -> Rmvpe:
    """The network of upstream's constructor, `E2E0(blocks, 1, (2, 2), en_de_layers=5, ...)`."""
    match = _CTOR.fullmatch(ctor.replace(" ", ""))
    if not match:
        raise ValueError(f"no network is known that is built by {ctor!r}")
    sizes = {"en_de_layers": 5, "inter_layers": 4, "en_out_channels": 16}
    sizes |= {name: int(value) for name, value in (part.split("=") for part in match["more"].split(",") if part)}
    model = Rmvpe()
    channels = sizes["en_out_channels"]
    model.unet = _UNet(channels, sizes["en_de_layers"], sizes["inter_layers"], int(match["blocks"]))
    model.cnn = nn.Conv2d(channels, 3, 3, padding=1)
    return model


def run(case: TensorCase) -> list[Quantity]:
    """The network and the decoding of its output."""
    sheet = case.sheet()
    if "salience" in sheet:
        model = network(str(case.about.get("ctor", _RELEASED)))
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
