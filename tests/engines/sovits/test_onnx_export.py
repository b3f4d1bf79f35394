"""ONNX export: onnxruntime gives the audio of torch, at any length, for every kind of generator."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from core.engines.sovits import onnx_export
from core.engines.sovits.checkpoint import load_generator, release, write_tensors, write_upstream
from core.engines.sovits.config import SovitsConfig, parse_config, save_config
from core.engines.sovits.export import load_model
from core.engines.sovits.lite import HOP, LiteGenerator
from core.engines.sovits.model import build_generator
from core.engines.sovits.onnx_export import run_export_onnx
from core.engines.sovits.onnx_graphs import LiteGraph, expand
from core.errors import BadInput, Cancelled, ModelFileError, NotFound
from core.jobs.context import ForegroundContext
from core.nn.noise import Noise
from core.settings import Settings, load_settings
from tests.training.material import DIM, small_config

pytest.importorskip("onnxscript")

# Few layers: tracing takes a second for every hundred operations.
TINY: dict[str, Any] = {
    "inter_channels": 8,
    "hidden_channels": 8,
    "filter_channels": 16,
    "n_layers": 1,
    "n_flow_layer": 1,
    "gin_channels": 6,
    "ssl_dim": DIM,
    "n_speakers": 3,
    "upsample_initial_channel": 32,
    "upsample_rates": (16, 32),
    "upsample_kernel_sizes": (32, 64),
    "resblock_kernel_sizes": (3,),
    "resblock_dilation_sizes": ((1, 3),),
}
VARIANTS: dict[str, dict[str, Any]] = {
    "vol": {"vol_embedding": True},
    "tiny": {"use_depthwise_conv": True, "flow_share_parameter": True},
    "snake": {"vocoder_name": "nsf-snake-hifigan"},
    "transformer-flow": {"use_transformer_flow": True, "n_layers_trans_flow": 1},
    "resblock2": {"resblock": "2", "use_automatic_f0_prediction": False},
}


def tiny_config(**model: Any) -> SovitsConfig:
    return parse_config({"model": TINY | model, "spk": {"a": 0, "b": 1, "歌手": 2}})


def write_model(folder: Path, config: SovitsConfig) -> Path:
    """G_7.pth with its config.json; weights random everywhere, also where training would start at zero."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(3)
    generator = build_generator(config)
    with torch.no_grad():
        for weight in generator.parameters():
            if not weight.any():
                weight.normal_(0, 0.2)
    save_config(config, folder / "config.json")
    write_upstream(folder / "G_7.pth", generator, iteration=1, learning_rate=1e-4)
    return folder / "G_7.pth"


@pytest.fixture
def settings(workspace: Path) -> Settings:
    return load_settings({"workspace": workspace, "device": "cpu", "threads": 1}, env={})


def export(settings: Settings, weights: Path, **more: Any) -> dict[str, Any]:
    return run_export_onnx({"weights": str(weights), **more}, ForegroundContext(settings))


def session(result: dict[str, Any]) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(result["onnx"], providers=["CPUExecutionProvider"])


class Replay(Noise):
    """Gives the numbers that the graph was given."""

    def __init__(self, latent: torch.Tensor, phase: torch.Tensor, samples: torch.Tensor) -> None:
        super().__init__()
        self.normals, self.phase = [latent, samples], phase

    def normal(self, shape: Any, like: torch.Tensor) -> torch.Tensor:
        return self.normals.pop(0)

    def uniform(self, shape: Any, like: torch.Tensor) -> torch.Tensor:
        return self.phase.clone()


def made_inputs(n_frames: int, n_speakers: int, vol: bool = False, seed: int = 5) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    made = {
        "c": rng.normal(0, 0.5, (1, n_frames, DIM)),
        "f0": 220 * 2 ** rng.normal(0, 0.3, (1, n_frames)),
        "uv": np.arange(n_frames)[None] % 5 != 0,
        "noise": rng.normal(0, 0.4, (1, 8, n_frames)),
        "sid": rng.dirichlet(np.ones(n_speakers), n_frames),
        "source_phase": rng.random((1, 9)),
        "source_noise": rng.normal(0, 1, (1, n_frames * HOP, 9)),
    }
    made |= {"vol": np.abs(rng.normal(0, 0.1, (1, n_frames)))} if vol else {}
    return {name: value.astype(np.float32) for name, value in made.items()} | {
        "mel2ph": np.arange(1, n_frames + 1)[None]
    }


def compare(result: dict[str, Any], weights: Path, n_frames: int, vol: bool = False) -> None:
    """onnxruntime against the studio's own `infer` of the same file (not against the graph that was traced)."""
    given = made_inputs(n_frames, 3, vol)
    made = dict(zip(result["outputs"], session(result).run(None, given), strict=True))
    generator = load_generator(weights, onnx_export.load_config(weights.with_name("config.json")), for_inference=True)
    t = {name: torch.from_numpy(value) for name, value in given.items()}
    wanted, f0 = generator.infer(  # type: ignore[operator]
        t["c"].transpose(1, 2), t["f0"], t["uv"], t["sid"][None], t.get("vol"), noise_scale=1.0,
        predict_f0="f0_used" in made, generator=Replay(t["noise"], t["source_phase"], t["source_noise"]),
    )  # fmt: skip
    assert made["audio"].shape == (1, 1, n_frames * HOP)
    assert np.abs(made["audio"]).max() > 1e-3
    np.testing.assert_allclose(made["audio"], wanted.numpy(), atol=1e-3)
    if "f0_used" in made:
        np.testing.assert_allclose(made["f0_used"], f0.numpy(), rtol=1e-3)


def test_the_default_generator_with_its_own_pitch_at_other_lengths(settings: Settings, tmp_path: Path) -> None:
    weights = write_model(tmp_path, tiny_config())
    result = export(settings, weights, source_noise=True, predict_f0=True, name="Ana 安娜")
    assert result["largest_difference"] < 1e-4
    for n_frames in (2, 5, 90):
        compare(result, weights, n_frames)
    card = json.loads(Path(result["json"]).read_text(encoding="utf-8"))
    assert card == {
        "Folder": "Ana 安娜", "Name": "Ana 安娜", "Type": "SoVits", "Rate": 44100, "Hop": 512,
        "Hubert": "vec-768-layer-12", "SoVits4": True, "SoVits3": False, "CharaMix": True, "Volume": False,
        "HiddenSize": DIM, "Characters": ["a", "b", "歌手"], "Cluster": "",
    }  # fmt: skip
    assert Path(result["onnx"]).parent.name == "Ana 安娜"
    properties = session(result).get_modelmeta().custom_metadata_map
    assert json.loads(properties["speakers"]) == {"a": 0, "b": 1, "歌手": 2}
    assert properties["unit_interpolate_mode"] == "left"


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_kind_of_generator(settings: Settings, tmp_path: Path, variant: str) -> None:
    weights = write_model(tmp_path, tiny_config(**VARIANTS[variant]))
    result = export(settings, weights, source_noise=True)
    for n_frames in (3, 50):
        compare(result, weights, n_frames, vol=variant == "vol")


@pytest.mark.slow
def test_a_released_file_of_one_speaker_draws_its_own_noise(settings: Settings, tmp_path: Path) -> None:
    write_model(tmp_path, tiny_config())
    weights = tmp_path / "small.safetensors"
    release(tmp_path / "G_7.pth", weights)
    result = export(settings, weights, mix=False)
    assert result["inputs"] == ["c", "f0", "mel2ph", "uv", "noise", "sid"]
    assert result["largest_difference"] < 1e-4
    given = made_inputs(12, 3) | {"sid": np.array([1])}
    given = {name: given[name] for name in result["inputs"]}
    one = session(result)
    first, second = (one.run(None, given)[0] for _ in range(2))
    assert 0 < np.abs(first - second).max() < 1.0  # another noise each time


def write_lite(folder: Path, config: SovitsConfig) -> Path:
    """A lite voice model as the studio exports it, weights random."""
    torch.manual_seed(0)
    save_config(config, folder / "config.json")
    write_tensors(folder / "model.safetensors", LiteGenerator(config))
    (folder / "card.json").write_text('{"encoder": "bands", "encoder_fingerprint": "bands-1"}')
    return folder / "model.safetensors"


def compare_lite(result: dict[str, Any], folder: Path, n_frames: int, sid: np.ndarray) -> None:
    given = made_inputs(n_frames, 1, vol=True)
    given = {name: given[name] for name in ("c", "f0", "uv", "vol", "mel2ph")}
    noise = torch.randn(1, n_frames * HOP, generator=torch.Generator().manual_seed(9))
    made = session(result).run(None, given | {"noise": noise.numpy(), "sid": sid})[0]
    t = {name: torch.from_numpy(value) for name, value in given.items()}
    speaker = torch.from_numpy(sid)
    wanted, _ = load_model(folder).generator.infer(  # type: ignore[operator]
        t["c"].transpose(1, 2), t["f0"], t["uv"], speaker if speaker.dim() == 1 else speaker[None], t["vol"],
        generator=torch.Generator().manual_seed(9),
    )  # fmt: skip
    assert np.abs(made).max() > 1e-3
    np.testing.assert_allclose(made, wanted.numpy(), atol=1e-3)


def test_lite_and_that_a_graph_which_sounds_otherwise_is_refused(settings: Settings, tmp_path: Path) -> None:
    weights = write_lite(tmp_path, small_config("lite"))
    ctx = ForegroundContext(settings)
    result = run_export_onnx({"weights": str(weights)}, ctx)
    assert (result["encoder"], result["inputs"][-2:]) == ("bands", ["sid", "vol"])
    for n_frames in (4, 61):
        compare_lite(result, tmp_path, n_frames, np.array([0]))
    options = onnx_export.parse_options({"weights": str(weights)})
    spoilt = onnx_export._subject(weights, tmp_path / "config.json", options)
    with torch.no_grad():
        spoilt.graph.generator.head.bias.add_(3.0)  # type: ignore[union-attr, operator]
    with pytest.raises(ModelFileError, match="does not sound like the model"):
        onnx_export._largest_difference(spoilt, Path(result["onnx"]), ctx)


@pytest.mark.slow
def test_lite_of_two_mixed_speakers(settings: Settings, tmp_path: Path) -> None:
    config = small_config("lite")
    model = config.model.model_copy(update={"n_speakers": 2})
    weights = write_lite(tmp_path, config.model_copy(update={"model": model, "spk": {"a": 0, "b": 1}}))
    result = export(settings, weights)
    compare_lite(result, tmp_path, 30, np.random.default_rng(0).dirichlet((1, 1), 30).astype(np.float32))


def test_places_count_from_one_and_zero_is_empty() -> None:
    units = torch.arange(1.0, 7.0).reshape(1, 3, 2)
    laid = expand(units, torch.tensor([[0, 1, 1, 3]]))
    assert laid[0].T.tolist() == [[0, 0], [1, 2], [1, 2], [5, 6]]


@pytest.mark.parametrize(
    ("params", "error", "words"),
    [
        ({}, BadInput, "name a voice or a weights file"),
        ({"voice": "a", "weights": "b"}, BadInput, "one of the two"),
        ({"weights": "nowhere.pth"}, NotFound, "no model nowhere.pth"),
        ({"weights": "x", "colour": 1}, BadInput, "colour"),
        ({"voice": "nobody"}, NotFound, "nobody"),
    ],
)
def test_what_cannot_be_exported(settings: Settings, params: dict[str, Any], error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        run_export_onnx(params, ForegroundContext(settings))


def test_pitch_that_a_model_cannot_make_and_a_cancel(settings: Settings, tmp_path: Path) -> None:
    weights = write_model(tmp_path / "m", tiny_config(use_automatic_f0_prediction=False))
    with pytest.raises(BadInput, match="without automatic pitch"):
        export(settings, weights, predict_f0=True)
    ctx = ForegroundContext(settings)
    ctx.request_cancel()
    with pytest.raises(Cancelled):
        run_export_onnx({"weights": str(weights)}, ctx)
    assert not list((settings.outputs / "onnx").rglob("*.onnx"))


def test_the_rewritten_lite_is_the_generator_in_torch() -> None:
    torch.manual_seed(1)
    lite = LiteGenerator(small_config("lite")).eval()
    given = {name: torch.from_numpy(value) for name, value in made_inputs(20, 1, vol=True).items()}
    given = {name: given[name] for name in ("c", "f0", "mel2ph", "uv", "vol")}
    noise = torch.randn(1, 20 * HOP, generator=torch.Generator().manual_seed(4))
    sid = torch.tensor([0])
    with torch.inference_mode():
        made = LiteGraph(lite)(**given, noise=noise, sid=sid)[0]
    seeded = torch.Generator().manual_seed(4)
    wanted, _ = lite.infer(given["c"].transpose(1, 2), given["f0"], given["uv"], sid, given["vol"], generator=seeded)
    torch.testing.assert_close(made, wanted, atol=1e-4, rtol=0)
