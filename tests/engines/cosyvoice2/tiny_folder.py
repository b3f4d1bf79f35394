"""A CosyVoice2 or Fun-CosyVoice3 of a few hundred kilobytes in the released folder layout, with random weights.

Its ONNX models are real: the tokenizer takes the loudest of twenty mel bands every fourth frame, the speaker encoder a
random projection of the first frame.
"""

import json
from pathlib import Path

import numpy as np
import torch

from core.engines.cosyvoice2.flow import Flow
from core.engines.cosyvoice2.hift import Hift
from core.engines.cosyvoice2.language_model import LanguageModel
from core.engines.cosyvoice2.loading import _trunk_config
from core.engines.cosyvoice2.released import read_released
from tests.engines.cosyvoice2.conftest import VOCAB, hearing, randomised
from tests.transcribe.tiny_parakeet import _FLOAT, _INT32, _INT64, _model, _node, _value

_YAML_2 = """
# random seeds
__set_seed1: !apply:random.seed [1986]
sample_rate: 24000
llm_input_size: 16
llm_output_size: 16
spk_embed_dim: 192
token_frame_rate: 25
token_mel_ratio: 2
chunk_size: 25
num_decoding_left_chunks: -1
llm: !new:cosyvoice.llm.llm.Qwen2LM
  llm_input_size: !ref <llm_input_size>
  speech_token_size: 20
  mix_ratio: [5, 15]
  llm: !new:cosyvoice.llm.llm.Qwen2Encoder
    pretrain_path: !ref <qwen_pretrain_path>
  sampling: !name:cosyvoice.utils.common.ras_sampling
    top_p: 0.8
    top_k: 25
    win_size: 10
    tau_r: 0.1
qwen_pretrain_path: ''
flow: !new:cosyvoice.flow.flow.CausalMaskedDiffWithXvec
  input_size: 16
  output_size: 80
  spk_embed_dim: !ref <spk_embed_dim>
  vocab_size: 20
  token_mel_ratio: !ref <token_mel_ratio>
  pre_lookahead_len: 3
  encoder: !new:cosyvoice.transformer.upsample_encoder.UpsampleConformerEncoder
    output_size: 16
    attention_heads: 2
    linear_units: 24
    num_blocks: 1
    num_up_blocks: 1
    static_chunk_size: !ref <chunk_size>
  decoder: !new:cosyvoice.flow.flow_matching.CausalConditionalCFM
    estimator: !new:cosyvoice.flow.decoder.CausalConditionalDecoder
      channels: [8]
      attention_head_dim: 4
      n_blocks: 1
      num_mid_blocks: 1
      num_heads: 2
      static_chunk_size: !ref <chunk_size> * <token_mel_ratio>
hift: !new:cosyvoice.hifigan.generator.HiFTGenerator
  base_channels: 8
  upsample_rates: [8, 5, 3]
  istft_params:
    n_fft: 16
    hop_len: 4
  f0_predictor: !new:cosyvoice.hifigan.f0_predictor.ConvRNNF0Predictor
    cond_channels: 4
feat_extractor: !name:matcha.utils.audio.mel_spectrogram
  n_fft: 1920
"""
_FLOW_3 = """flow: !new:cosyvoice.flow.flow.CausalMaskedDiffWithDiT
  input_size: 80
  output_size: 80
  vocab_size: 20
  token_mel_ratio: !ref <token_mel_ratio>
  pre_lookahead_len: 3
  pre_lookahead_layer: !new:cosyvoice.transformer.upsample_encoder.PreLookaheadLayer
    in_channels: 80
    channels: 16
  decoder: !new:cosyvoice.flow.flow_matching.CausalConditionalCFM
    estimator: !new:cosyvoice.flow.DiT.dit.DiT
      dim: 32
      depth: 1
      heads: 2
      dim_head: 8
      ff_mult: 2
"""


def write(folder: Path, *, version: int = 2, presets: bool = True) -> Path:
    """All files of a model."""
    text = folder / "CosyVoice-BlankEN"
    text.mkdir(parents=True)
    _write_tokenizer(text)
    yaml = _YAML_2
    if version == 3:
        yaml = yaml[: yaml.index("flow:")] + _FLOW_3 + yaml[yaml.index("hift:") :]
    (folder / f"cosyvoice{version}.yaml").write_text(yaml, encoding="utf-8")
    config = read_released(folder)
    language_model = randomised(LanguageModel(config.language_model, _trunk_config(folder)), 4)
    tensors = language_model.state_dict()
    tensors["llm.model.lm_head.weight"] = tensors["llm.model.model.embed_tokens.weight"]
    torch.save(tensors, folder / "llm.pt")
    # At a smaller scale the U-Net hardly sees its context, and a test of what it sees would pass by deafness.
    torch.save(randomised(Flow(config.flow), 1, scale=0.3 if version == 2 else 0.2).state_dict(), folder / "flow.pt")
    torch.save(_normed(hearing(Hift(config.hift)).state_dict()), folder / "hift.pt")
    (folder / "campplus.onnx").write_bytes(_speaker_encoder())
    (folder / f"speech_tokenizer_v{version}.onnx").write_bytes(_speech_tokenizer())
    if presets:
        torch.save(speakers(), folder / "spk2info.pt")
    return folder


def speakers() -> dict[str, dict[str, torch.Tensor]]:
    """One speaker of each schema of `spk2info.pt`."""
    generator = torch.Generator().manual_seed(8)
    embedding = torch.randn(1, 192, generator=generator)
    stored = {
        "prompt_text": torch.tensor([[72, 105]]),
        "flow_prompt_speech_token": torch.randint(0, VOCAB, (1, 30), generator=generator, dtype=torch.int32),
        "prompt_speech_feat": torch.randn(1, 60, 80, generator=generator),
        "llm_embedding": embedding,
        "flow_embedding": embedding,
    }
    return {"girl": {"embedding": embedding}, "stored": stored}


def _normed(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Convolutions as the released file has them: split by weight norm, under torch's names, with a prefix."""
    out = {}
    for name, tensor in tensors.items():
        split = tensor.dim() == 3 and not name.startswith("source_downs") and not name.endswith("alpha")
        stem = f"generator.{name.removesuffix('.weight')}"
        if split:
            out[f"{stem}.parametrizations.weight.original0"] = tensor.flatten(1).norm(dim=1)[:, None, None]
            out[f"{stem}.parametrizations.weight.original1"] = tensor * 2
        else:
            out[f"generator.{name}"] = tensor
    return out


def _write_tokenizer(folder: Path) -> None:
    """Qwen2's tokenizer without merges: a token for each byte, and its three marks."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {byte: chr(byte) for byte in printable}
    others = [byte for byte in range(256) if byte not in letters]
    letters |= {byte: chr(256 + at) for at, byte in enumerate(others)}
    vocab = {letters[byte]: byte for byte in range(256)}
    (folder / "vocab.json").write_text(json.dumps(vocab), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    marks = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    added = {str(256 + at): {"content": mark, "special": True} for at, mark in enumerate(marks)}
    settings = {"tokenizer_class": "Qwen2Tokenizer", "added_tokens_decoder": added, "eos_token": marks[0]}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    sizes = {
        "model_type": "qwen2", "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 300, "max_position_embeddings": 4096,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(sizes), encoding="utf-8")


def _speech_tokenizer() -> bytes:
    constants = {
        "starts": np.array([0, 0]), "ends": np.array([VOCAB, 2**31]), "axes": np.array([1, 2]),
        "steps": np.array([1, 4]), "first": np.array([0]),
    }  # fmt: skip
    nodes = [
        _node("Slice", ["feats", "starts", "ends", "axes", "steps"], ["few"]),
        _node("Squeeze", ["few", "first"], ["bands"]),
        _node("ArgMax", ["bands"], ["tokens"]),
    ]
    inputs = [_value("feats", _FLOAT, [1, 128, "t"]), _value("feats_length", _INT32, [1])]
    return _model(nodes, constants, inputs, [_value("tokens", _INT64, [1, "s"])])


def _speaker_encoder() -> bytes:
    table = np.random.default_rng(0).standard_normal((80, 192)).astype(np.float32)
    constants = {"table": table, "start": np.array([0]), "end": np.array([1]), "axis": np.array([1])}
    nodes = [
        _node("Slice", ["input", "start", "end", "axis"], ["frame"]),
        _node("MatMul", ["frame", "table"], ["wide"]),
        _node("Squeeze", ["wide", "axis"], ["output"]),
    ]
    return _model(nodes, constants, [_value("input", _FLOAT, [1, "t", 80])], [_value("output", _FLOAT, [1, 192])])
