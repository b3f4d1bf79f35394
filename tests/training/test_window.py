"""Means since the last log line survive a checkpoint exactly."""

import json

import torch

from core.training.window import Window


def test_a_window_comes_back_exactly() -> None:
    window = Window()
    for value in (0.1, 0.2, 1e-7):
        window.add("loss/g/mel", torch.tensor(value))
    window.add_losses("d", torch.tensor(3.0), {"adv": torch.tensor(1 / 3)})
    back = Window()
    back.restore(json.loads(json.dumps(window.state())), torch.device("cpu"))
    for held in (window, back):
        held.add("loss/g/mel", torch.tensor(0.7))
    assert back.means() == window.means()
    assert back.mean("loss/g/mel") == window.mean("loss/g/mel")
    assert back.mean("nothing") is None
    back.clear()
    assert back.means() == {}
