"""The catalogue's content encoders: what hears *what* is said, so that a voice model can say it in another voice.

None of these ships. Each entry's folder holds what `core.models.encoder_import` makes of the original file.
"""

from core.models.entry import CatalogueEntry

_MB = 1024 * 1024
_TRANSFORMERS = ("config.json", ("model.safetensors", "pytorch_model.bin"))
_OURS = ("config.json", "model.safetensors")


def _entry(
    name: str,
    good_at: str,
    megabytes: int,
    licence: str,
    origin: str,
    file: str,
    *,
    files: tuple[str | tuple[str, ...], ...] = _OURS,
    sha256: str = "",
    more: str = "",
) -> CatalogueEntry:
    """`file`: the original's name, `more`: another way to get it in place."""
    return CatalogueEntry(
        name=name,
        purpose=f"content encoder: {good_at}",
        size_bytes=megabytes * _MB,
        licence=licence,
        folder=name,
        files=files,
        origin=origin,
        by_hand=(
            f"on a machine with a connection, download {file}, then drop it on the page Models or run "
            f"`app.py models import {file}`{more}"
        ),
        sha256=sha256,
    )


def _onnx(units: str, name: str, file: str) -> CatalogueEntry:
    return _entry(
        name,
        f"{units} in ONNX form, for models that were trained with it; fast on a CPU",
        360 if "vec" in name else 180,
        "MIT",
        f"{file}, as so-vits-svc and MoeVoiceStudio name it",
        file,
        files=("model.onnx",),
    )


ENCODERS: tuple[CatalogueEntry, ...] = (
    _entry(
        "contentvec",
        "the standard of so-vits-svc 4.1 (vec768l12) and 4.0 (vec256l9): clearer words than the built-in one",
        380,
        "MIT",
        "ContentVec by Kaizhi Qian and others: checkpoint_best_legacy_500.pt, or hubert_base.pt with the same network",
        "checkpoint_best_legacy_500.pt",
        files=_TRANSFORMERS,
        more=(
            "; or copy config.json and model.safetensors (or pytorch_model.bin) of the transformers version into "
            "pretrain/contentvec"
        ),
    ),
    _entry(
        "hubertsoft",
        "soft units of 256 values, little of the source's timbre; English words best",
        360,
        "MIT",
        "HuBERT-Soft by Benjamin van Niekerk and others",
        "hubert-soft-0d54a1f4.pt",
    ),
    _entry(
        "whisper-ppg",
        "many languages, steady in noise; slow: it always hears 30 s",
        1180,
        "MIT",
        "the encoder of Whisper medium by OpenAI",
        "medium.pt",
        sha256="345ae4da62f9b3d59415adc60127b97c714f32e89e936602e85993674d08dcb1",
    ),
    _entry(
        "whisper-ppg-large",
        "as whisper-ppg, from the large model; slowest",
        2430,
        "MIT",
        "the encoder of Whisper large-v2 by OpenAI",
        "large-v2.pt",
        sha256="81f7c96c852ee8fc832187b0132e569d6c3065a3252ed18e56effd0b6a73e524",
    ),
    _entry(
        "cnhubertlarge",
        "trained on Chinese speech: Mandarin words",
        1210,
        "MIT",
        "chinese-hubert-large by TencentGameMate",
        "chinese-hubert-large-fairseq-ckpt.pt",
    ),
    _entry(
        "dphubert",
        "a quarter of HuBERT's size, fast",
        95,
        "see the model's page",
        "DPHuBERT by Yifan Peng and others, 75 % pruned",
        "DPHuBERT-sp0.75.pth",
    ),
    _entry(
        "wavlmbase+",
        "trained on mixed and noisy speech: steady with background sound",
        360,
        "MIT; see the model's page",
        "WavLM Base+ by Microsoft",
        "WavLM-Base+.pt",
    ),
    _onnx("ContentVec, layer 12 (768 values),", "vec768l12-onnx", "vec-768-layer-12.onnx"),
    _onnx("ContentVec, layer 9 (768 values),", "vec768l9-onnx", "vec-768-layer-9.onnx"),
    _onnx("ContentVec, layer 9 (256 values),", "vec256l9-onnx", "vec-256-layer-9.onnx"),
    _onnx("ContentVec, layer 12 (256 values),", "vec256l12-onnx", "vec-256-layer-12.onnx"),
    _onnx("HuBERT-Soft (256 values)", "hubertsoft-onnx", "hubert-soft.onnx"),
)
