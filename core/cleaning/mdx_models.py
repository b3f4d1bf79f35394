"""Which MDX-Nets there are on this machine, and the figures that each needs and that its file does not tell.

A network says only the shape of its spectra. How long the windows are, by how much its answer is too soft and what it
answers (the voice, or the rest) stand beside it: in the table here, which holds what is published for the models of
Ultimate Vocal Remover, or in a JSON file in the same folder. A model that neither knows is refused: with a wrong
window it would give noise, or worse, something that nearly sounds right.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import ModelFileError, NotFound, Unavailable
from core.models import catalogue
from core.options import problems
from core.settings import Settings

ENTRY = "vocals"
"""The catalogue's entry; any MDX-Net in its folder counts."""

TABLES = ("mdx_model_data.json", "model_data.json")
"""Tables by digest, as audio-separator and Ultimate Vocal Remover keep them."""

_DIGEST_BYTES = 10_000 * 1024  # a model's name in the tables is the MD5 of its last 10 MB
_STEMS = {"vocals": "vocals", "instrumental": "accompaniment"}
Stem = Literal["vocals", "accompaniment"]


class MdxParams(BaseModel):
    """`n_fft`: window, samples at 44.1 kHz; `compensation`: the answer is multiplied by it; `stem`: what it answers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    n_fft: Annotated[int, Field(ge=256, le=65536, multiple_of=2)]
    compensation: Annotated[float, Field(gt=0.0, le=4.0)]
    stem: Stem


@dataclass(frozen=True)
class MdxModel:
    """A model that can be used. `path` of the .onnx file."""

    path: Path
    params: MdxParams


# MD5 of the last 10,000 KiB -> (n_fft, compensation, answers the voice), best first: the table that Ultimate Vocal
# Remover publishes for its MDX-Nets, as far as they part a voice from the rest.
_KNOWN: dict[str, tuple[int, float, bool]] = {
    "970b3f9492014d18fefeedfe4773cb42": (7680, 1.009, True),  # Kim_Vocal_2
    "73492b58195c3b52d34590d5474452f6": (7680, 1.043, True),  # Kim_Vocal_1
    "77d07b2667ddf05b9e3175941b4454a0": (7680, 1.021, True),  # UVR-MDX-NET-Voc_FT
    "cb790d0c913647ced70fc6b38f5bea1a": (5120, 1.01, False),  # UVR-MDX-NET-Inst_HQ_5
    "0f2a6bc5b49d87d64728ee40e23bceb1": (5120, 1.019, False),  # UVR-MDX-NET-Inst_HQ_4
    "55657dd70583b0fedfba5f67df11d711": (6144, 1.022, False),  # UVR-MDX-NET-Inst_HQ_3
    "cc63408db3d80b4d85b0287d1d7c9632": (6144, 1.033, False),  # the other instrumental ones
    "b6bccda408a436db8500083ef3491e8b": (7680, 1.02, False),  # Kim_Inst
    "1c56ec0224f1d559c42fd6fd2a67b154": (5120, 1.025, False),  # UVR-MDX-NET-Inst_Main
    "2cdd429caac38f0194b133884160f2c6": (7680, 1.045, False),
    "488b3e6f8bd3717d9d7c428476be2d75": (7680, 1.035, False),
    "ceed671467c1f64ebdfac8a2490d0d52": (7680, 1.035, False),
    "d2a1376f310e4f7fa37fb9b5774eb701": (7680, 1.035, False),
    "f2df6d6863d8f435436d8b561594ff49": (7680, 1.035, False),
    "e5572e58abf111f80d8241d2e44e7fa4": (7680, 1.028, False),
    "b78da4afc6512f98e4756f5977f5c6b9": (7680, 1.021, False),
    "b06327a00d5e5fbc7d96e1781bbdb596": (6144, 1.035, False),
    "94ff780b977d3ca07c7a343dab2e25dd": (6144, 1.039, False),
    "203f2a3955221b64df85a41af87cf8f0": (6144, 1.035, False),
    "291c2049608edb52648b96e27eb80e95": (6144, 1.035, False),
    "ead8d05dab12ec571d67549b3aab03fc": (6144, 1.035, False),
    "8a88db95c7fb5dbe6a095ff2ffb428b1": (5120, 1.026, False),
    "398580b6d5d973af3120df54cee6759d": (7680, 1.75, True),  # the UVR-MDX-NETs of the first years
    "5d343409ef0df48c7d78cce9f0106781": (7680, 1.075, True),
    "53c4baf4d12c3e6c3831bb8f5b532b93": (7680, 1.043, True),
    "867595e9de46f6ab699008295df62798": (7680, 1.03, True),
    "b33d9b3950b6cbf5fe90a32608924700": (7680, 1.03, True),
    "e7324c873b1f615c35c1967f912db92a": (7680, 1.03, True),
    "a3cd63058945e777505c01d2507daf37": (6144, 1.03, True),
    "d94058f8c7f1fae4164868ae8ae66b20": (6144, 1.035, True),
    "d7bff498db9324db933d913388cba6be": (6144, 1.035, True),
    "0ddfc0eb5792638ad5dc27850236c246": (6144, 1.035, True),
    "5f6483271e1efb9bfb59e4a3e6d4d098": (6144, 1.035, True),  # kuielab_a_vocals
    "6b31de20e84392859a3d09d43f089515": (6144, 1.035, True),  # kuielab_b_vocals
    "2f5501189a2f6db6349916fabe8c90de": (6144, 1.035, True),  # UVR_MDXNET_KARA: the lead voice alone
    "1d64a6d2c30f709b8c9b4ce1366d96ee": (5120, 1.065, False),  # UVR_MDXNET_KARA_2
}


def names(settings: Settings) -> list[str]:
    """The MDX-Nets in the models' folder by file name, sorted; whether they can be used shows when one is chosen."""
    folder = settings.pretrain_dir / catalogue.entry(ENTRY).folder
    return sorted(path.name for path in folder.glob("*.onnx") if path.stat().st_size) if folder.is_dir() else []


def choose(settings: Settings, name: str = "auto") -> MdxModel:
    """The model of that file name (its ending may be left out); "auto": the best that is known.

    Raises Unavailable (no model here, or none that is known; says what to do), NotFound, ModelFileError.
    """
    entry = catalogue.entry(ENTRY)
    folder = settings.pretrain_dir / entry.folder
    present = names(settings)
    if not present:
        raise Unavailable(
            f"Vocal separation has no model here: there is no .onnx file in {folder}.",
            f"{entry.by_hand[0].upper()}{entry.by_hand[1:]}.",
            where="separate",
        )
    if name != "auto":
        found = next((one for one in present if name in (one, Path(one).stem)), None)
        if found is None:
            raise NotFound(
                f"There is no separation model {name!r}.", f"There are: {', '.join(present)}.", where="separator"
            )
        return MdxModel(folder / found, params_of(folder / found))
    usable: list[tuple[int, MdxModel]] = []
    problems: list[Unavailable | ModelFileError] = []
    for one in present:
        path = folder / one
        try:
            model = MdxModel(path, params_of(path))
        except (Unavailable, ModelFileError) as err:
            problems.append(err)
            continue
        digest = digest_of(path)
        usable.append((list(_KNOWN).index(digest) if digest in _KNOWN else len(_KNOWN), model))
    if not usable:
        raise problems[0]
    return min(usable, key=lambda ranked: ranked[0])[1]


def digest_of(path: Path) -> str:
    """What the tables know a model by."""
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - _DIGEST_BYTES))
        return hashlib.md5(file.read(), usedforsecurity=False).hexdigest()


def params_of(path: Path) -> MdxParams:
    """A model's figures: from `NAME.json` beside it, from a table beside it, or from the table here; in this order.

    Raises Unavailable (nobody knows it, or it answers neither voice nor music), ModelFileError (a damaged JSON file).
    """
    own = path.with_suffix(".json")
    if own.is_file():
        return _parsed(_read(own), own)
    digest = digest_of(path)
    for table in TABLES:
        beside = path.with_name(table)
        rows = _read(beside) if beside.is_file() else {}
        if isinstance(rows.get(digest), dict):
            return _parsed(rows[digest], beside)
    if digest in _KNOWN:
        n_fft, compensation, voice = _KNOWN[digest]
        return MdxParams(n_fft=n_fft, compensation=compensation, stem="vocals" if voice else "accompaniment")
    example = json.dumps({"n_fft": 7680, "compensation": 1.0, "stem": "vocals"})
    raise Unavailable(
        f"The separation model {path.name} is not known here (its digest is {digest}).",
        f"Write {own.name} beside it with the figures that its author gives, such as {example} (stem: vocals or "
        "accompaniment), or put the mdx_model_data.json of audio-separator there.",
        where=str(path),
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as err:
        raise ModelFileError(f"{path.name} cannot be read: {err}.", "Copy it again.", where=str(path)) from err
    if not isinstance(found, dict):
        raise ModelFileError(f"{path.name} holds no table.", "Copy it again.", where=str(path))
    return found


def _parsed(row: Mapping[str, Any], where: Path) -> MdxParams:
    """Our own names, or those of the public tables (`mdx_n_fft_scale_set`, `compensate`, `primary_stem`)."""
    if "mdx_n_fft_scale_set" in row:
        stem = _STEMS.get(str(row.get("primary_stem", "")).lower())
        if stem is None:
            raise Unavailable(
                f"The model parts {str(row.get('primary_stem'))!r} from the rest, not a voice from its music.",
                "Choose a model for vocals or instrumentals.",
                where=str(where),
            )
        row = {"n_fft": row["mdx_n_fft_scale_set"], "compensation": row.get("compensate"), "stem": stem}
    try:
        return MdxParams.model_validate(dict(row))
    except ValidationError as err:
        raise ModelFileError(
            f"{where.name}: {problems(err)}.", "It wants n_fft, compensation and stem.", where=str(where)
        ) from err
