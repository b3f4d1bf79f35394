"""VoxCPM folders of the real sizes with random weights: what time and memory need, without a download."""

import json
from pathlib import Path
from typing import Any

LAYERS = {"0.5b": (24, 6, 4), "1.5": (24, 8, 8), "2": (28, 8, 12)}
"""Layers of the language model, of the residual one, and of encoder and diffusion transformer each."""
NAMES = tuple(LAYERS)


def write(folder: Path, name: str, *, share: float = 1.0, seed: int = 0) -> Path:
    """A model folder of VoxCPM 0.5B, 1.5 or 2, about 1.5, 1.9 or 5 GB: bfloat16, the VAE in float32.

    `share`: of the layers of every transformer; what is left scales with it.
    """
    import torch
    from safetensors.torch import save_file

    from core.engines.voxcpm.loading import build, read_config, read_tokenizer
    from core.engines.voxcpm.package import module_of
    from tests.engines.voxcpm.tiny import write_tokenizer

    folder.mkdir(parents=True)
    write_tokenizer(folder)
    (folder / "config.json").write_text(json.dumps(config(name, share)), encoding="utf-8")
    architecture, parsed = read_config(folder)
    parts = module_of(architecture)
    empty = build(parts, parsed, read_tokenizer(folder, parsed.lm_config.vocab_size))  # shapes alone
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for key, shape in {k: t.shape for k, t in empty.state_dict().items() if not k.startswith("audio_vae.")}.items():
        spread = 0.02 if len(shape) > 1 else 0.0
        drawn = torch.empty(shape, dtype=torch.bfloat16).normal_(0.0, 1.0, generator=generator).mul_(spread)
        tensors[key] = drawn if spread or key.endswith("bias") else drawn.add_(1.0)  # norms are ones
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    torch.manual_seed(seed)
    kind = parts.AudioVAEV2 if architecture == "voxcpm2" else parts.AudioVAE
    vae = kind(parsed.audio_vae_config) if parsed.audio_vae_config else kind()
    save_file({key: t.contiguous() for key, t in vae.state_dict().items()}, folder / "audiovae.safetensors")
    return folder


def config(name: str, share: float = 1.0) -> dict[str, Any]:
    """config.json. Sizes as in spec/voxcpm.md, section 1; those of 0.5B and 1.5 that it does not name are those that
    give the published numbers of weights (0.65 and 0.8 billion) and rates."""
    v2 = name == "2"
    base, residual, local = (max(1, round(share * layers)) for layers in LAYERS[name])
    hidden, inner, head = (2048, 6144, 128) if v2 else (1024, 4096, 64)
    factors = [1.0] * (head // 2)
    rope = {
        "type": "longrope", "long_factor": factors, "short_factor": factors, "original_max_position_embeddings": 32768,
    }  # fmt: skip
    lm = {
        "bos_token_id": 1, "eos_token_id": 2, "hidden_size": hidden, "intermediate_size": inner,
        "max_position_embeddings": 32768, "num_attention_heads": 16, "num_hidden_layers": base,
        "num_key_value_heads": 2, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "rope_scaling": rope,
        "vocab_size": 73448, "use_mup": False, "scale_emb": 12, "dim_model_base": 256, "scale_depth": 1.4,
        "kv_channels": head,
    }  # fmt: skip
    block = {"hidden_dim": 1024, "ffn_dim": 4096, "num_heads": 16, "num_layers": local, "kv_channels": head}
    cfm = {"sigma_min": 1e-6, "solver": "euler", "t_scheduler": "log-norm", "inference_cfg_rate": 2.0}
    made: dict[str, Any] = {
        "architecture": "voxcpm2" if v2 else "voxcpm", "lm_config": lm, "patch_size": 2 if name == "0.5b" else 4,
        "feat_dim": 64, "residual_lm_num_layers": residual, "scalar_quantization_latent_dim": 512 if v2 else 256,
        "scalar_quantization_scale": 9, "encoder_config": block, "dit_config": {**block, "cfm_config": cfm},
        "max_length": 8192 if v2 else 4096, "device": "cuda", "dtype": "bfloat16",
    }  # fmt: skip
    if v2:
        made["residual_lm_no_rope"] = True
    if name == "1.5":
        made["audio_vae_config"] = {
            "encoder_dim": 64, "encoder_rates": [2, 3, 6, 7, 7], "latent_dim": 64, "decoder_dim": 2048,
            "decoder_rates": [7, 7, 6, 3, 2], "depthwise": True, "sample_rate": 44100, "use_noise_block": False,
        }  # fmt: skip
    return made
