"""What the encoder is taught: the recogniser's file, the discriminant, labels of frames, units."""

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("espeakng_loader")
from tools.encoder.espeak import Phone
from tools.encoder.phones import frame_labels, with_halves
from tools.encoder.teacher import Projection, fit_units
from tools.encoder.whisper import read_encoder


def _text(text: str) -> bytes:
    return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"


def test_a_recognisers_file_is_read_without_what_is_not_the_encoders(tmp_path: Path) -> None:
    wanted = np.arange(6, dtype=np.float16).reshape(2, 3)
    tensors = [
        ("decoder/x", np.ones(4, np.float16), 4),
        ("encoder/a/weight", wanted, 4),
        ("encoder/heads", np.int16(6), 2),
    ]
    data = struct.pack("<I", 6) + _text("WhisperSpec") + struct.pack("<II", 3, len(tensors))
    for name, value, kind in tensors:
        shape = np.shape(value)
        data += _text(name) + struct.pack(f"<B{len(shape)}I", len(shape), *shape)
        data += struct.pack("<BI", kind, value.nbytes) + value.tobytes()
    (tmp_path / "model.bin").write_bytes(data)
    found = read_encoder(tmp_path / "model.bin")
    assert list(found) == ["a/weight"]
    assert found["a/weight"].tolist() == wanted.tolist()


def test_frames_get_the_phone_at_their_centre() -> None:
    labels = frame_labels([Phone("h'", 0.0), Phone("aI", 0.045), Phone("_:", 0.1)], 8)
    assert labels.tolist() == ["h", "h", "h", "aI", "aI", "", "", ""]
    assert with_halves(labels).tolist() == ["h<", "h<", "h>", "aI<", "aI>", "", "", ""]


@given(st.lists(st.sampled_from(["", "a", "b"]), max_size=40))
def test_halves_keep_every_phone_and_pause(labels: list[str]) -> None:
    halves = with_halves(np.array(labels, dtype="<U12"))
    assert [h.rstrip("<>") for h in halves] == labels
    assert all(bool(label) == half.endswith(("<", ">")) for label, half in zip(labels, halves, strict=True))


def test_the_discriminant_keeps_phones_and_drops_how_a_voice_varies() -> None:
    """Features = phone + something ten times louder that has nothing to do with phones + noise."""
    rng = np.random.default_rng(0)
    n_frames, width = 4000, 80
    phone, manner = rng.integers(5, size=n_frames), rng.standard_normal((n_frames, 3))
    of_phone, of_manner = np.zeros((5, width)), np.zeros((3, width))
    of_phone[:, :10], of_manner[:, 5:40] = rng.standard_normal((5, 10)), 10 * rng.standard_normal((3, 35))
    x = torch.from_numpy(of_phone[phone] + manner @ of_manner + 0.3 * rng.standard_normal((n_frames, width))).float()
    y = Projection.fit(x, np.array(list("aeiou"))[phone], np.full(n_frames, "one"))(x)
    means = torch.stack([y[phone == p].mean(0) for p in range(5)])
    within = torch.stack([y[phone == p].var(0) for p in range(5)]).mean(0).sum()
    raw_means = torch.stack([x[phone == p].mean(0) for p in range(5)])
    raw_within = torch.stack([x[phone == p].var(0) for p in range(5)]).mean(0).sum()
    assert means.var(0).sum() / within > 3
    assert raw_means.var(0).sum() / raw_within < 0.1


def test_units_are_soft_and_nearest_first() -> None:
    points = torch.randn(3000, 64, generator=torch.Generator().manual_seed(0))
    units = fit_units(points, rounds=3, sample=500)
    soft = units.soft(points[:50])
    assert soft.shape == (50, 256)
    torch.testing.assert_close(soft.sum(1), torch.ones(50))
    assert torch.equal(soft.argmax(1), units.distances(points[:50]).argmin(1))
