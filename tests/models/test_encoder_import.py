"""Original encoder files: made-up ones of the same structure, tiny, give the units of the network they hold."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.errors import ModelFileError
from core.features import encoders
from core.features.encoders import ENCODERS, EncoderEntry
from core.features.encoders.whisper import log_mel
from core.models import encoder_import
from core.models.safe_load import load_checkpoint
from core.settings import Settings

WIDTH, CHANNELS = 64, 8


def wave(n: int = 6400) -> Tensor:
    return 0.1 * torch.randn(n, generator=torch.Generator().manual_seed(1))


def imported(file: Path, name: str, dim: int, monkeypatch: pytest.MonkeyPatch, pretrain: Path) -> Any:
    """The encoder after an import into a pretrain folder, loaded by its name."""
    original = encoder_import.recognise(load_checkpoint(file), file)
    assert original is not None
    assert original.name == name
    encoder_import.install(original, pretrain / name)
    entry = ENCODERS[name]
    monkeypatch.setitem(encoders.ENCODERS, name, EncoderEntry(dim, entry.weights, entry.make))
    return encoders.create(name, "cpu", Settings(workspace=pretrain / "w", pretrain_dir=pretrain))


# ---- HuBERT-Soft, as its author's code builds it


class SoftHubert(nn.Module):
    """bshall's network, written down from its names: convolutions, a positional convolution, torch's own layers."""

    def __init__(self) -> None:
        super().__init__()
        kernels = [(10, 5), *[(3, 2)] * 4, *[(2, 2)] * 2]
        self.feature_extractor = nn.Module()
        for i, (kernel, stride) in enumerate(kernels):
            conv = nn.Conv1d(1 if i == 0 else CHANNELS, CHANNELS, kernel, stride, bias=False)
            self.feature_extractor.add_module(f"conv{i}", conv)
        self.feature_extractor.norm0 = nn.GroupNorm(CHANNELS, CHANNELS)
        self.feature_projection = nn.Module()
        self.feature_projection.norm = nn.LayerNorm(CHANNELS)
        self.feature_projection.projection = nn.Linear(CHANNELS, WIDTH)
        self.positional_embedding = nn.Module()
        conv = nn.Conv1d(WIDTH, WIDTH, 8, padding=4, groups=4)
        self.positional_embedding.conv = nn.utils.weight_norm(conv, dim=2)
        self.norm = nn.LayerNorm(WIDTH)
        layer = nn.TransformerEncoderLayer(WIDTH, 1, 96, activation="gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.proj = nn.Linear(WIDTH, 12)
        self.masked_spec_embed = nn.Parameter(torch.zeros(WIDTH))
        self.label_embedding = nn.Embedding(5, 12)

    def units(self, wav: Tensor) -> Tensor:
        x = F.pad(wav, (40, 40))[None, None]
        for i in range(7):
            x = self.feature_extractor.get_submodule(f"conv{i}")(x)
            x = F.gelu(self.feature_extractor.norm0(x) if i == 0 else x)
        x = self.feature_projection.projection(self.feature_projection.norm(x.transpose(1, 2)))
        place = self.positional_embedding.conv(x.transpose(1, 2))[:, :, :-1]
        x = self.norm(x + F.gelu(place).transpose(1, 2))
        return self.proj(self.encoder(x))[0]


@pytest.mark.parametrize("prefix", ["", "module."])
def test_hubert_soft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: str) -> None:
    torch.manual_seed(2)
    model = SoftHubert().eval()
    file = tmp_path / "hubert-soft-0d54a1f4.pt"
    torch.save({prefix + name: x for name, x in model.state_dict().items()}, file)
    encoder = imported(file, "hubertsoft", 12, monkeypatch, tmp_path / "pretrain")
    with torch.inference_mode():
        expected = model.units(wave())
    assert expected.shape == (20, 12)
    torch.testing.assert_close(encoder.encode(wave()), expected, rtol=1e-4, atol=1e-5)


def test_a_hubert_soft_with_a_foreign_tensor_is_refused(tmp_path: Path) -> None:
    tensors = {**SoftHubert().state_dict(), "surprise": torch.zeros(1)}
    with pytest.raises(ModelFileError, match="surprise"):
        encoder_import.recognise(tensors, tmp_path / "x.pt")


# ---- Whisper, as OpenAI names it


class WhisperReference:
    """The encoder of Whisper on OpenAI's names, with tiny sizes: 60 positions instead of 1500."""

    def __init__(self, width: int = 8, layers: int = 2, heads: int = 2, mels: int = 10, positions: int = 60) -> None:
        torch.manual_seed(3)
        self.dims = {"n_mels": mels, "n_audio_ctx": positions, "n_audio_state": width, "n_audio_head": heads}
        self.dims |= {"n_audio_layer": layers, "n_vocab": 3, "n_text_ctx": 1, "n_text_state": 1}
        self.tensors: dict[str, Tensor] = {
            "encoder.conv1.weight": torch.randn(width, mels, 3) / 4,
            "encoder.conv1.bias": torch.randn(width),
            "encoder.conv2.weight": torch.randn(width, width, 3) / 4,
            "encoder.conv2.bias": torch.randn(width),
            "encoder.positional_embedding": torch.randn(positions, width),
            "encoder.ln_post.weight": torch.randn(width),
            "encoder.ln_post.bias": torch.randn(width),
            "decoder.token_embedding.weight": torch.randn(3, width),
        }
        for layer in range(layers):
            at = f"encoder.blocks.{layer}"
            for part in ("query", "key", "value", "out"):
                self.tensors[f"{at}.attn.{part}.weight"] = torch.randn(width, width) / 3
                if part != "key":
                    self.tensors[f"{at}.attn.{part}.bias"] = torch.randn(width) / 3
            for norm in ("attn_ln", "mlp_ln"):
                self.tensors[f"{at}.{norm}.weight"] = torch.randn(width)
                self.tensors[f"{at}.{norm}.bias"] = torch.randn(width)
            self.tensors[f"{at}.mlp.0.weight"] = torch.randn(4 * width, width) / 3
            self.tensors[f"{at}.mlp.0.bias"] = torch.randn(4 * width)
            self.tensors[f"{at}.mlp.2.weight"] = torch.randn(width, 4 * width) / 5
            self.tensors[f"{at}.mlp.2.bias"] = torch.randn(width)

    def __call__(self, mel: Tensor) -> Tensor:
        def at(name: str) -> Tensor:
            return self.tensors[f"encoder.{name}"]

        def norm(x: Tensor, name: str) -> Tensor:
            return F.layer_norm(x, x.shape[-1:], at(f"{name}.weight"), at(f"{name}.bias"))

        x = F.gelu(F.conv1d(mel[None], at("conv1.weight"), at("conv1.bias"), padding=1))
        x = F.gelu(F.conv1d(x, at("conv2.weight"), at("conv2.bias"), stride=2, padding=1))[0].T
        x = x + at("positional_embedding")
        heads = self.dims["n_audio_head"]
        for layer in range(self.dims["n_audio_layer"]):
            block = f"blocks.{layer}"
            y = norm(x, f"{block}.attn_ln")
            q = F.linear(y, at(f"{block}.attn.query.weight"), at(f"{block}.attn.query.bias"))
            k = F.linear(y, at(f"{block}.attn.key.weight"))
            v = F.linear(y, at(f"{block}.attn.value.weight"), at(f"{block}.attn.value.bias"))
            q, k, v = (part.unflatten(1, (heads, -1)).transpose(0, 1) for part in (q, k, v))
            mixed = torch.softmax(q @ k.transpose(1, 2) / math.sqrt(q.shape[-1]), -1) @ v
            mixed = mixed.transpose(0, 1).flatten(1)
            x = x + F.linear(mixed, at(f"{block}.attn.out.weight"), at(f"{block}.attn.out.bias"))
            y = F.gelu(F.linear(norm(x, f"{block}.mlp_ln"), at(f"{block}.mlp.0.weight"), at(f"{block}.mlp.0.bias")))
            x = x + F.linear(y, at(f"{block}.mlp.2.weight"), at(f"{block}.mlp.2.bias"))
        return norm(x, "ln_post")


@pytest.mark.parametrize(("stem", "name"), [("medium", "whisper-ppg"), ("large-v2", "whisper-ppg-large")])
def test_whisper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stem: str, name: str) -> None:
    model = WhisperReference()
    file = tmp_path / f"{stem}.pt"
    torch.save({"dims": model.dims, "model_state_dict": model.tensors}, file)
    encoder = imported(file, name, 8, monkeypatch, tmp_path / "pretrain")
    sound = wave(20 * 320 + 100)
    units = encoder.encode(sound)
    padded = F.pad(sound[: 20 * 320], (0, 40 * 320))
    torch.testing.assert_close(units, model(log_mel(padded, 10))[:20], rtol=1e-4, atol=1e-4)


def test_whisper_hears_more_than_its_positions_in_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = WhisperReference()
    file = tmp_path / "medium.pt"
    torch.save({"dims": model.dims, "model_state_dict": model.tensors}, file)
    encoder = imported(file, "whisper-ppg", 8, monkeypatch, tmp_path / "pretrain")
    assert encoder.encode(wave(200 * 320)).shape == (200, 8)
    assert encoder.encode(wave(100)).shape == (0, 8)


def test_whispers_mel_is_the_published_one() -> None:
    from transformers import WhisperFeatureExtractor

    sound = wave(16000)
    theirs = WhisperFeatureExtractor(chunk_length=1)(sound.numpy(), sampling_rate=16000, return_tensors="pt")
    torch.testing.assert_close(log_mel(sound, 80), theirs.input_features[0], rtol=1e-4, atol=1e-4)


# ---- WavLM, as Microsoft names it

_WAVLM_BACK: tuple[tuple[str, str], ...] = (
    ("attention.gru_rel_pos_linear", "self_attn.grep_linear"),
    ("attention.gru_rel_pos_const", "self_attn.grep_a"),
    ("attention.rel_attn_embed", "self_attn.relative_attention_bias"),
)


def wavlm_file(path: Path, normalize: bool) -> Any:
    from transformers import WavLMConfig, WavLMModel

    from tests.models.test_fairseq_hubert import as_fairseq

    torch.manual_seed(4)
    config = WavLMConfig(
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=1,
        intermediate_size=16,
        conv_dim=[CHANNELS] * 7,
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=4,
        num_buckets=20,
        max_bucket_distance=40,
    )
    model = WavLMModel(config).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    tensors = as_fairseq(model, nn.Linear(WIDTH, 6))
    tensors = {n: x for n, x in tensors.items() if not n.startswith(("final_proj", "label_embs"))}
    for new, old in _WAVLM_BACK:
        tensors = {
            name.replace(new, old).replace("self_attn." + new.split(".")[1], old): x for name, x in tensors.items()
        }
    torch.save({"cfg": {"normalize": normalize, "max_distance": 40}, "model": tensors}, path)
    return model


@pytest.mark.parametrize("normalize", [False, True])
def test_wavlm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, normalize: bool) -> None:
    file = tmp_path / "WavLM-Base+.pt"
    model = wavlm_file(file, normalize)
    encoder = imported(file, "wavlmbase+", WIDTH, monkeypatch, tmp_path / "pretrain")
    heard = F.layer_norm(wave(), wave().shape) if normalize else wave()
    with torch.inference_mode():
        expected = model(heard[None]).last_hidden_state[0]
    torch.testing.assert_close(encoder.encode(wave()), expected, rtol=1e-4, atol=1e-4)


# ---- DPHuBERT: torchaudio's network, whose names it shares, and the same with parts pruned


def pruned_config(**changes: Any) -> dict[str, Any]:
    config: dict[str, Any] = {
        "extractor_mode": "group_norm",
        "extractor_conv_layer_config": [[CHANNELS, 10, 5], *[[CHANNELS, 3, 2]] * 4, *[[CHANNELS, 2, 2]] * 2],
        "extractor_conv_bias": False,
        "encoder_embed_dim": 16,
        "encoder_pos_conv_kernel": 8,
        "encoder_pos_conv_groups": 4,
        "encoder_num_layers": 2,
        "encoder_use_attention": [True, True],
        "encoder_use_feed_forward": [True, True],
        "encoder_num_heads": [2, 2],
        "encoder_head_dim": 8,
        "encoder_ff_interm_features": [20, 20],
        "encoder_layer_norm_first": False,
        "normalize_waveform": False,
    }
    return config | changes


def torchaudio_network(norm_first: bool) -> nn.Module:
    from torchaudio.models import wav2vec2_model

    torch.manual_seed(5)
    model = wav2vec2_model(
        extractor_mode="layer_norm" if norm_first else "group_norm",
        extractor_conv_layer_config=[(CHANNELS, 10, 5), *[(CHANNELS, 3, 2)] * 4, *[(CHANNELS, 2, 2)] * 2],
        extractor_conv_bias=norm_first,
        encoder_embed_dim=16,
        encoder_projection_dropout=0.0,
        encoder_pos_conv_kernel=8,
        encoder_pos_conv_groups=4,
        encoder_num_layers=2,
        encoder_num_heads=2,
        encoder_attention_dropout=0.0,
        encoder_ff_interm_features=20,
        encoder_ff_interm_dropout=0.0,
        encoder_dropout=0.0,
        encoder_layer_norm_first=norm_first,
        encoder_layer_drop=0.0,
        aux_num_out=None,
    )
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model.eval()


def their_tensors(model: nn.Module) -> dict[str, Tensor]:
    """torchaudio's state under the names of the published file."""
    renamed = {
        name.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): x.clone()
        for name, x in model.state_dict().items()
    }
    return {**renamed, "feature_extractor.dummy_weight": torch.linspace(0.5, 1.5, CHANNELS)}


def masked(model: nn.Module, sound: Tensor) -> Tensor:
    """torchaudio's units with the file's mask over the last convolution's channels."""
    features, _ = model.feature_extractor(sound[None], None)  # type: ignore[operator]
    return model.encoder(features * torch.linspace(0.5, 1.5, CHANNELS), None)[0]  # type: ignore[operator]


@pytest.mark.parametrize("norm_first", [False, True])
def test_dphubert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, norm_first: bool) -> None:
    model = torchaudio_network(norm_first)
    file = tmp_path / "DPHuBERT-sp0.75.pth"
    mode = {"extractor_mode": "layer_norm", "extractor_conv_bias": True} if norm_first else {}
    config = pruned_config(encoder_layer_norm_first=norm_first, **mode)
    torch.save({"config": config, "state_dict": their_tensors(model)}, file)
    encoder = imported(file, "dphubert", 16, monkeypatch, tmp_path / "pretrain")
    with torch.inference_mode():
        expected = masked(model, wave())
    torch.testing.assert_close(encoder.encode(wave()), expected, rtol=1e-4, atol=1e-4)


def test_a_pruned_dphubert_is_the_whole_one_with_silent_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A head less and a hidden unit less in layer 0, no attention in layer 1: the same as their outputs at zero."""
    model = torchaudio_network(norm_first=False)
    tensors = their_tensors(model)
    layers = model.encoder.transformer.layers  # type: ignore[union-attr]
    with torch.no_grad():
        layers[0].attention.out_proj.weight[:, 8:] = 0  # type: ignore[index, union-attr]
        layers[0].feed_forward.output_dense.weight[:, 5:] = 0  # type: ignore[index, union-attr]
        layers[1].attention.out_proj.weight.zero_()  # type: ignore[index, union-attr]
        layers[1].attention.out_proj.bias.zero_()  # type: ignore[index, union-attr]
    at = "encoder.transformer.layers."
    for part in "qkv":
        for kind in ("weight", "bias"):
            tensors[f"{at}0.attention.{part}_proj.{kind}"] = tensors[f"{at}0.attention.{part}_proj.{kind}"][:8]
    tensors[f"{at}0.attention.out_proj.weight"] = tensors[f"{at}0.attention.out_proj.weight"][:, :8]
    for kind in ("weight", "bias"):
        name = f"{at}0.feed_forward.intermediate_dense.{kind}"
        tensors[name] = tensors[name][:5]
    name = f"{at}0.feed_forward.output_dense.weight"
    tensors[name] = tensors[name][:, :5]
    tensors = {n: x for n, x in tensors.items() if not n.startswith(f"{at}1.attention.")}
    config = pruned_config(
        encoder_use_attention=[True, False], encoder_num_heads=[1, 2], encoder_ff_interm_features=[5, 20]
    )
    file = tmp_path / "DPHuBERT-sp0.75.pth"
    torch.save({"config": config, "state_dict": tensors}, file)
    encoder = imported(file, "dphubert", 16, monkeypatch, tmp_path / "pretrain")
    with torch.inference_mode():
        expected = masked(model, wave())
    torch.testing.assert_close(encoder.encode(wave()), expected, rtol=1e-4, atol=1e-4)


def test_a_dphubert_whose_settings_make_no_sense_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = torchaudio_network(norm_first=False)
    file = tmp_path / "DPHuBERT-sp0.75.pth"
    torch.save({"config": pruned_config(encoder_num_heads=[2]), "state_dict": their_tensors(model)}, file)
    with pytest.raises(ModelFileError, match="DPHuBERT"):
        imported(file, "dphubert", 16, monkeypatch, tmp_path / "pretrain")


# ---- Chinese HuBERT large


def test_chinese_hubert_large_gives_its_last_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.models.test_fairseq_hubert import as_fairseq, tiny

    model = tiny(large=True)
    file = tmp_path / "chinese-hubert-large-fairseq-ckpt.pt"
    torch.save({"model": as_fairseq(model, nn.Linear(64, 6))}, file)
    encoder = imported(file, "cnhubertlarge", 64, monkeypatch, tmp_path / "pretrain")
    with torch.inference_mode():
        expected = model(wave()[None]).last_hidden_state[0]
    torch.testing.assert_close(encoder.encode(wave()), expected, rtol=1e-4, atol=1e-4)


# ---- ONNX


def onnx_file(path: Path, channels: int = 768, rank: int = 3, transposed: bool = False) -> Path:
    """A network of one convolution with the frames of a HuBERT: samples to units."""
    onnx = pytest.importorskip("onnx")
    torch.manual_seed(6)
    helper, proto = onnx.helper, onnx.TensorProto
    weight = onnx.numpy_helper.from_array(torch.randn(channels, 1, 400).numpy(), "w")
    samples = ["b", "n"] if rank == 2 else ["b", 1, "n"]
    nodes = []
    source = "source"
    if rank == 2:
        axes = onnx.numpy_helper.from_array(torch.tensor([1]).numpy(), "axes")
        nodes.append(helper.make_node("Unsqueeze", [source, "axes"], ["wide"]))
        source = "wide"
    nodes.append(helper.make_node("Conv", [source, "w"], ["c"], kernel_shape=[400], strides=[320]))
    if transposed:
        nodes.append(helper.make_node("Identity", ["c"], ["embed"]))
    else:
        nodes.append(helper.make_node("Transpose", ["c"], ["embed"], perm=[0, 2, 1]))
    shape = ["b", channels, "t"] if transposed else ["b", "t", channels]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("source", proto.FLOAT, samples)],
        [helper.make_tensor_value_info("embed", proto.FLOAT, shape)],
        [weight, axes] if rank == 2 else [weight],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    return path


@pytest.mark.parametrize(("rank", "transposed"), [(3, False), (2, False), (3, True)])
def test_onnx_encoders(tmp_path: Path, rank: int, transposed: bool) -> None:
    file = onnx_file(tmp_path / "vec-768-layer-12.onnx", rank=rank, transposed=transposed)
    name = encoder_import.onnx_name(file)
    assert name == "vec768l12-onnx"
    settings = Settings(workspace=tmp_path / "w", pretrain_dir=tmp_path / "pretrain")
    encoder_import.install_onnx(file, name, settings.pretrain_dir / name)
    assert sorted(p.name for p in (settings.pretrain_dir / name).iterdir()) == ["model.onnx"]
    encoder = encoders.create(name, "cpu", settings)
    torch.manual_seed(6)
    weight = torch.randn(768, 1, 400)
    expected = F.conv1d(wave()[None, None], weight, stride=320)[0].T
    torch.testing.assert_close(encoder.encode(wave()), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: onnx_file(path, channels=256), "768 channels"),
        (lambda path: path.write_bytes(b"nothing of the kind"), "no ONNX network"),
    ],
)
def test_other_onnx_files_are_refused_and_nothing_stays(
    tmp_path: Path, make: Callable[[Path], object], says: str
) -> None:
    file = tmp_path / "vec-768-layer-12.onnx"
    make(file)
    with pytest.raises(ModelFileError, match=says):
        encoder_import.install_onnx(file, "vec768l12-onnx", tmp_path / "pretrain" / "x")
    assert list((tmp_path / "pretrain" / "x").iterdir()) == []


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("vec-768-layer-12.onnx", "vec768l12-onnx"),
        ("vec-256-layer-9.onnx", "vec256l9-onnx"),
        ("hubert-soft.onnx", "hubertsoft-onnx"),
        ("rmvpe.onnx", None),
    ],
)
def test_names_of_onnx_files(file: str, name: str | None) -> None:
    assert encoder_import.onnx_name(Path(file)) == name


def test_every_encoder_has_a_catalogue_entry_and_every_entry_an_encoder() -> None:
    from core.models.encoder_entries import ENCODERS as ENTRIES

    wanted = {entry.weights for entry in ENCODERS.values()}
    assert wanted == {one.name for one in ENTRIES} | {"builtin"}
    assert all(one.purpose.startswith("content encoder: ") for one in ENTRIES)
