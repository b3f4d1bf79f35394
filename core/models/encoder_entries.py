"""The catalogue's content encoders: what hears *what* is said, so that a voice model can say it in another voice.

None of these ships. Each entry's folder holds what `core.models.encoder_import` makes of the original file.

A checksum stands here only where it was read at two places that do not copy each other, or where the makers publish it
themselves; the comment beside it says where (2026-11). "LFS": the pointer of a git-lfs repository of models.
"""

from collections.abc import Mapping

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
    checksums: Mapping[str, str] | None = None,
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
        checksums=checksums or {},
    )


def _onnx(units: str, name: str, file: str, sha256: str = "") -> CatalogueEntry:
    return _entry(
        name,
        f"{units} in ONNX form, for models that were trained with it; fast on a CPU",
        280 if "l9" in name else 360,  # layers 10 to 12 are not in those of layer 9
        "MIT (the network); its makers publish the ONNX form under GPL-3.0",
        f"{file} of MoeSS-SUBModel by NaruseMioShirakana",
        file,
        files=("model.onnx",),
        checksums={file: sha256} if sha256 else None,
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
        checksums={
            # LFS of asd123Xiao/so-vits-svc-models-ba (1.33 GB); no second source was read.
            "checkpoint_best_legacy_500.pt": "60d936ec5a566776fc392e69ad8b630d14eb588111233fe313436e200a7b187b",
            # LFS of lj1995/vocal2guitar and of zeyadusa/Rejekts (190 MB); RVC checks its asset against the same.
            "hubert_base.pt": "f54b40fd2802423a5643779c4861af1e9ee9c1564dc9d32f54f20b5ffba7db96",
            # LFS blob of lengyue233/content-vec-best (378 MB), and the download tables of Applio's relatives.
            "pytorch_model.bin": "d8dd400e054ddf4e6be75dab5a2549db748cc99e756a097c496c099f65a4854e",
        },
        more=(
            " (1.3 GB; hubert_base.pt of RVC, 190 MB, is the same network); or copy config.json and model.safetensors "
            "(or pytorch_model.bin) of the transformers version into pretrain/contentvec"
        ),
    ),
    _entry(
        "hubertsoft",
        "soft units of 256 values, little of the source's timbre; English words best",
        360,
        "MIT",
        "HuBERT-Soft by Benjamin van Niekerk and others",
        "hubert-soft-0d54a1f4.pt",
        # LFS of lafi23333/ds, chilge/4.1 and pdjdev/ddsp-demo: 378,435,957 bytes.
        checksums={"hubert-soft-0d54a1f4.pt": "e82e7d079df05fe3aa535f6f7d42d309bdae1d2a53324e2b2386c56721f4f649"},
    ),
    _entry(
        "whisper-ppg",
        "many languages, steady in noise; slow: it always hears 30 s",
        1180,
        "MIT",
        "the encoder of Whisper medium by OpenAI",
        "medium.pt",
        # Its makers' own: the folder of its address in openai/whisper, which checks what it loads against it.
        checksums={"medium.pt": "345ae4da62f9b3d59415adc60127b97c714f32e89e936602e85993674d08dcb1"},
    ),
    _entry(
        "whisper-ppg-large",
        "as whisper-ppg, from the large model; slowest",
        2430,
        "MIT",
        "the encoder of Whisper large-v2 by OpenAI",
        "large-v2.pt",
        checksums={"large-v2.pt": "81f7c96c852ee8fc832187b0132e569d6c3065a3252ed18e56effd0b6a73e524"},  # likewise
    ),
    _entry(
        "cnhubertlarge",
        "trained on Chinese speech: Mandarin words",
        1210,
        "MIT",
        "chinese-hubert-large by TencentGameMate",
        "chinese-hubert-large-fairseq-ckpt.pt",
        # Its makers' own LFS (TencentGameMate/chinese-hubert-large, 3,799,503,913 bytes), and Politrees/RVC_resources.
        checksums={
            "chinese-hubert-large-fairseq-ckpt.pt": "31a39438d2ca748d5626bb676493041166de03c93ec517774c6d90ebb2d715c5"
        },
        more=" (3.8 GB to download; a third of it is kept)",
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
        # LFS of s3prl/converted_ckpts and of thejan-fonseka/DeepSpeakerVerifier: 377,604,817 bytes.
        checksums={"WavLM-Base+.pt": "fcbcf2a94def92e90e086bb0727275d53b75a9c0e483e2abfa560ac951986b6d"},
    ),
    _onnx(
        "ContentVec, layer 12 (768 values),",
        "vec768l12-onnx",
        "vec-768-layer-12.onnx",
        # 377,655,729 bytes: the installers of three programs that convert in a browser or by Rust name the same.
        "b3886e7dff1495cda514f94f4680a7b1261e05d6929f5c764cdb17934b413c2a",
    ),
    _onnx("ContentVec, layer 9 (768 values),", "vec768l9-onnx", "vec-768-layer-9.onnx"),
    _onnx("ContentVec, layer 9 (256 values),", "vec256l9-onnx", "vec-256-layer-9.onnx"),
    _onnx("ContentVec, layer 12 (256 values),", "vec256l12-onnx", "vec-256-layer-12.onnx"),
    _onnx("HuBERT-Soft (256 values)", "hubertsoft-onnx", "hubert-soft.onnx"),
)
