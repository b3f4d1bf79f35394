"""Tiny VoxCPM checkpoints: random weights, the package's own classes, the real files."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,!?'()"
HANZI = "你好世界今天气很我们去公园散步吧"
TEXTS = ["Hello world, this is a short test.", "The quick brown fox jumps over the lazy dog.", HANZI, "今天天气很好"]
HIDDEN, HEADS = 64, 4


def build(folder: Path, architecture: str, *, dtype: str = "float32", max_length: int = 512, seed: int = 0) -> Path:
    """A model folder of "voxcpm" or "voxcpm2", about 2 MB."""
    folder.mkdir(parents=True, exist_ok=True)
    config = make_config(architecture, write_tokenizer(folder), dtype, max_length)
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    model = package_model(folder, architecture, seed)
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    vae = "audio_vae."
    save_file({name: t for name, t in tensors.items() if not name.startswith(vae)}, folder / "model.safetensors")
    own = {name.removeprefix(vae): t for name, t in tensors.items() if name.startswith(vae)}
    torch.save({"state_dict": own}, folder / "audiovae.pth")
    return folder


def package_model(folder: Path, architecture: str, seed: int) -> Any:
    """The package's model with fresh random weights, spread so that its sound is loud enough to compare."""
    from transformers import LlamaTokenizerFast

    from core.engines.voxcpm.package import module_of

    parts = module_of(architecture)
    config = parts.VoxCPMConfig.model_validate_json((folder / "config.json").read_text("utf-8"))
    vae = parts.AudioVAEV2 if architecture == "voxcpm2" else parts.AudioVAE
    model = parts.VoxCPM2Model if architecture == "voxcpm2" else parts.VoxCPMModel
    torch.manual_seed(seed)
    tokenizer = LlamaTokenizerFast.from_pretrained(folder)
    return model(config, tokenizer, vae(config.audio_vae_config), device="cpu")


def write_tokenizer(folder: Path) -> int:
    """A byte-fallback BPE tokenizer; the ids 101 to 104 are the audio marks. Returns its size."""
    from tokenizers import Tokenizer, decoders, models, normalizers, trainers
    from transformers import LlamaTokenizerFast

    reserved = ["<unk>", "<s>", "</s>", *(f"<|{number}|>" for number in range(3, 105))]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    trainer = trainers.BpeTrainer(
        vocab_size=620,
        special_tokens=[*reserved, *(f"<0x{byte:02X}>" for byte in range(256))],
        initial_alphabet=[*LETTERS, "▁", *HANZI],
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    LlamaTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    ).save_pretrained(folder)
    return tokenizer.get_vocab_size()


def make_config(architecture: str, n_tokens: int, dtype: str, max_length: int) -> dict[str, Any]:
    """config.json of the architecture, with small sizes and the real rates."""
    head = HIDDEN // HEADS
    factors = [1.0] * (head // 2)
    block = {"hidden_dim": HIDDEN, "ffn_dim": 96, "num_heads": HEADS, "num_layers": 1, "kv_channels": head}
    v2 = architecture == "voxcpm2"
    vae: dict[str, Any] = {
        "encoder_dim": 8, "encoder_rates": [2, 5, 8, 8], "latent_dim": 8, "decoder_dim": 64, "depthwise": True,
        "sample_rate": 16000, "decoder_rates": [8, 6, 5, 2, 2, 2] if v2 else [8, 8, 5, 2], "use_noise_block": False,
    }  # fmt: skip
    if v2:
        vae |= {"out_sample_rate": 48000, "sr_bin_boundaries": [20000, 30000, 40000], "cond_type": "scale_bias"}
    lm = {
        "bos_token_id": 1, "eos_token_id": 2, "hidden_size": HIDDEN, "intermediate_size": 96, "num_hidden_layers": 2,
        "max_position_embeddings": 2048, "num_attention_heads": HEADS, "num_key_value_heads": 2, "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0, "vocab_size": -(-n_tokens // 16) * 16, "use_mup": False, "scale_emb": 12.0,
        "dim_model_base": 256, "scale_depth": 1.4, "kv_channels": head,
        "rope_scaling": {
            "type": "longrope", "long_factor": factors, "short_factor": factors,
            "original_max_position_embeddings": 2048,
        },
    }  # fmt: skip
    cfm = {"sigma_min": 1e-6, "solver": "euler", "t_scheduler": "log-norm", "inference_cfg_rate": 2.0}
    return {
        "architecture": architecture, "lm_config": lm, "feat_dim": 8, "patch_size": 4 if v2 else 2,
        "residual_lm_num_layers": 1, "scalar_quantization_latent_dim": 16, "scalar_quantization_scale": 9,
        "encoder_config": block, "dit_config": {**block, "cfm_config": cfm}, "audio_vae_config": vae,
        "max_length": max_length, "device": "cuda", "dtype": dtype, **({"residual_lm_no_rope": True} if v2 else {}),
    }  # fmt: skip
