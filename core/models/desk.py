"""All that a person does with model files: the facade that the doors call. Light: torch comes with the work."""

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from core import atomic
from core.errors import BadInput, Conflict, NotFound
from core.models import catalogue
from core.models.entry import Presence
from core.paths import inside, safe_name, unique_path
from core.settings import Settings

if TYPE_CHECKING:
    from core.dataset.voices import VoiceStore
    from core.jobs.model import Job
    from core.jobs.queue import JobQueue

TRASH = ".trash"
BEHAVIOURS = ("4.1-stable", "4.1-latest")
MODEL_FILE, CARD_FILE = "model.safetensors", "card.json"
# What a compressed model does not need.
_TRAINING_ONLY = ("discriminator.safetensors",)


class ModelsDesk:
    """Model files of one studio: the catalogue's, and those of the voices.

    Methods that name a voice's model raise NotFound where there is none, and BadInput for a name that leads out of the
    voice's folder.
    """

    def __init__(
        self, settings: Settings, voices: "VoiceStore", jobs: "JobQueue", refuse_while_busy: Callable[[str], None]
    ) -> None:
        self._settings, self._voices, self._jobs, self._refuse = settings, voices, jobs, refuse_while_busy

    # -- the catalogue

    def presence(self) -> list[Presence]:
        """Every entry of the catalogue, with whether its files are here."""
        return list(catalogue.present(self._settings).values())

    def bytes_of(self, found: Presence) -> int:
        """What an entry takes on the disk here; 0 where it comes with a package or is absent."""
        if found.path is None or not found.path.is_dir():
            return 0
        return sum(path.stat().st_size for path in found.path.rglob("*") if path.is_file())

    def remove(self, name: str) -> Path:
        """Move the files of a catalogue entry to the trash folder in pretrain; returns where they lie now.

        Raises NotFound (unknown, or not here), Conflict (it ships with the studio).
        """
        found = catalogue.locate(self._settings, name)
        if found.entry.ships:
            raise Conflict(f"{name} comes with the studio.", "It cannot be removed.", where=name)
        if found.state == "absent" or found.path is None:
            raise NotFound(f"{name} is not here.", "There is nothing to remove.", where=name)
        return _to_trash(found.path, self._settings.pretrain_dir)

    # -- import

    def import_files(
        self,
        paths: Sequence[Path],
        *,
        voice: str | None = None,
        every: bool = False,
        look: bool = False,
        replace: bool = False,
    ) -> "Job":
        """Queue an import; see `core.engines.sovits.import_job.ImportOptions`. Raises NotFound for a path."""
        for path in paths:
            if not path.exists():
                raise NotFound(f"There is nothing at {path}.", "Choose a folder, files or a .zip.", where=str(path))
        params = {"paths": [str(path.absolute()) for path in paths], "voice": voice, "every": every}
        return self._jobs.submit("import-models", {**params, "look": look, "replace": replace}, voice)

    def info(self, path: Path, config: Path | None = None) -> dict[str, Any]:
        """What is inside a file, before it is used: "kind", "says", "problem", "fix", and for voice models all that
        `core.engines.sovits.model_tools.model_info` tells. Raises NotFound, BadInput, ModelFileError."""
        from core.engines.sovits.import_look import look
        from core.engines.sovits.model_tools import model_info

        if not path.is_file():
            raise NotFound(f"There is no file {path}.", "Choose a model file.", where=str(path))
        found = look(path, path.name)
        if found is None:
            raise BadInput(
                f"{path.name} is no kind of file that the studio knows.", "Choose a .pth, .pt, .safetensors or .pkl."
            )
        told = {"kind": found.kind, "says": found.says, "bytes": path.stat().st_size}
        told |= {"problem": found.problem, "fix": found.fix}
        if found.kind == "generator":
            more = model_info(path, config)
            what, hint = more.pop("problem", None) or ("", "")
            told |= {**more, "problem": what and f"With its config.json: {what}.", "fix": hint}
        return told

    # -- data sets of so-vits-svc

    def import_data(self, folder: Path, pitch: str | None = None) -> "Job":
        """Queue the taking over of a prepared dataset/44k (`core.engines.sovits.layout_read`). Raises NotFound."""
        if not folder.is_dir():
            raise NotFound(f"There is no folder {folder}.", "Choose the one that holds dataset/44k.", where=str(folder))
        return self._jobs.submit("import-sovits-data", {"folder": str(folder.absolute()), "pitch": pitch}, None)

    def export_data(self, voices: Sequence[str], out: Path | None = None, **options: Any) -> "Job":
        """Queue the writing of voices' clips as so-vits-svc prepares them (`core.engines.sovits.layout_write`).

        Args:
            voices: names; the first one's jobs list it.
            out: a folder that is not there yet; None: a new one in the outputs.
            options: "encoder", "pitch", "vol_embedding".

        Raises:
            BadInput: no voice. NotFound: there is none of a name. Conflict: the folder is there.
        """
        if not voices:
            raise BadInput("No voice was chosen.", "Choose at least one.", where="voices")
        names = [self._voices.get(voice).name for voice in voices]
        if out is None:
            out = unique_path(self._settings.outputs / "so-vits-svc" / safe_name(names[0], "voice"))
        if out.exists():
            raise Conflict(f"{out} exists already.", "Choose a new folder.", where=str(out))
        return self._jobs.submit("export-sovits-data", {"voices": names, "out": str(out), **options}, names[0])

    # -- models of voices

    def folder(self, voice: str, model: str) -> Path:
        """The folder of a voice's model."""
        models = self._voices.get(voice).models
        path = inside(models, models / model)
        if not (path / CARD_FILE).is_file() or path == models:
            raise NotFound(f"There is no model '{model}' of '{voice}'.", "Choose one of the list.", where=voice)
        return path

    def rename(self, voice: str, model: str, name: str) -> Path:
        """Give a model another name. Raises Conflict (taken, or a job works on the voice), BadInput (no name)."""
        folder = self.folder(voice, model)
        self._refuse(voice)
        wanted = folder.with_name(safe_name(name, ""))
        if wanted == folder.parent:
            raise BadInput("The model needs a name.", "Use letters or digits of any language.", where="name")
        if wanted.exists() and wanted != folder:
            raise Conflict(f"There is a model '{wanted.name}' already.", "Choose another name.", where=voice)
        folder.rename(wanted)
        return wanted

    def delete(self, voice: str, model: str) -> Path:
        """Move a model to the trash folder beside the voices; returns where it lies now."""
        folder = self.folder(voice, model)
        self._refuse(voice)
        return _to_trash(folder, self._settings.voices_dir, f"{voice} {folder.name}")

    def behave(self, voice: str, model: str, as_: str) -> None:
        """Let a model be used as so-vits-svc "4.1-stable" or "4.1-latest" uses it: in the latter the source has no
        noise and no pauses, and loudness is measured half a frame later."""
        if as_ not in BEHAVIOURS:
            raise BadInput(f"There is no way {as_!r} to use a model.", f"Use one of {', '.join(BEHAVIOURS)}.")
        self._change_card(self.folder(voice, model), {"behaviour": as_})

    def behaves_as_latest(self, folder: Path) -> bool:
        """Whether the model in `folder` is used as so-vits-svc 4.1-latest uses it."""
        try:
            card = json.loads((folder / CARD_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return isinstance(card, dict) and card.get("behaviour") == BEHAVIOURS[1]

    def compress(self, voice: str, model: str, *, half: bool = False, name: str = "") -> Path:
        """A new model that is this one without what only training needs, in half precision if `half`.

        Returns its folder. Raises Conflict (the name is taken), ModelFileError (a lite model), NoSpace.
        """
        from core.engines.sovits.checkpoint import release

        folder = self.folder(voice, model)
        target = self._fresh(folder, name or f"{folder.name}-compressed{'-half' if half else ''}")
        with atomic.folder(target) as build:
            release(folder / MODEL_FILE, build / MODEL_FILE, half=half)
            skipped = (MODEL_FILE, *_TRAINING_ONLY)
            for path in folder.iterdir():
                if path.is_dir():
                    shutil.copytree(path, build / path.name)
                elif path.name not in skipped:
                    shutil.copyfile(path, build / path.name)
            self._change_card(build, {"compressed": "half" if half else "full", "created": time.time()})
        return target

    def compress_file(self, source: Path, target: Path, *, half: bool = False) -> Path:
        """A G_*.pth made small, as a file: .pth as so-vits-svc's own compressor writes it, or .safetensors."""
        from core.engines.sovits.checkpoint import release

        atomic.check_target(target, source)
        release(source, target, half=half)
        return target

    def export_onnx(self, voice: str, model: str) -> "Job":
        """Queue the export of a model as ONNX, named after voice and model; see `onnx_export.run_export_onnx`."""
        name = f"{voice} {self.folder(voice, model).name}"
        return self._jobs.submit("export-onnx", {"voice": voice, "model": model, "name": name}, voice)

    def mix(self, voice: str, parts: Mapping[str, float], mode: Literal["convex", "linear"], name: str) -> Path:
        """A new model of `voice` that is a weighted sum: {"MODEL" or "VOICE/MODEL": rate in percent}; the first
        gives config and speakers. Raises as `core.engines.sovits.model_tools.static_mix` does, and Conflict."""
        from core.engines.sovits.model_tools import static_mix

        folders = [self._named(voice, one) for one in parts]
        if len(folders) < 2:
            raise BadInput("A mixture needs at least two models.", "Choose another one.", where="models")
        target = self._fresh(self._voices.get(voice).models / "x", name or "mix")
        with atomic.folder(target) as build:
            files = [(folder / MODEL_FILE, rate) for folder, rate in zip(folders, parts.values(), strict=True)]
            static_mix(files, build / MODEL_FILE, mode)
            for file in ("config.json", CARD_FILE):
                shutil.copyfile(folders[0] / file, build / file)
            told = {"mode": mode, "parts": {str(one): rate for one, rate in parts.items()}}
            self._change_card(build, {"mixed": told, "voice": voice, "created": time.time(), "imported": None})
        return target

    def convert_index(self, source: Path, target: Path | None = None) -> Path:
        """A retrieval index or k-means file of so-vits-svc as a safe file (.safetensors); returns it.

        Raises NotFound, BadInput (the target), ModelFileError (code in it, damaged, another kind).
        """
        from core.engines.sovits.import_look import look
        from core.engines.sovits.import_voice import read_centres, read_index
        from core.training.generations import save_tensors

        if not source.is_file():
            raise NotFound(f"There is no file {source}.", "Choose feature_and_index.pkl or kmeans_*.pt.")
        found = look(source, source.name)
        if found is None or found.kind not in ("index", "kmeans"):
            raise BadInput(
                f"{source.name} is no retrieval index or k-means file" + (f": {found.problem}" if found else "."),
                "Choose feature_and_index.pkl or kmeans_10000.pt of so-vits-svc.",
                where=str(source),
            )
        target = target or source.with_suffix(".safetensors")
        if target.suffix.lower() != ".safetensors":
            raise BadInput(f"{target.name} does not end in .safetensors.", "Name it so.", where=str(target))
        atomic.check_target(target, source)
        tables = read_index(source) if found.kind == "index" else read_centres(source)
        with atomic.file(target) as temporary:
            save_tensors(temporary, tables, {"format": "pt"})
        return target

    def _named(self, voice: str, name: str) -> Path:
        """The folder of "MODEL" of this voice or "VOICE/MODEL"."""
        other, _, model = name.rpartition("/")
        return self.folder(other or voice, model)

    def _fresh(self, folder: Path, name: str) -> Path:
        target = folder.with_name(safe_name(name, "model"))
        if target.exists():
            raise Conflict(f"There is a model '{target.name}' already.", "Choose another name.", where=str(target))
        return target

    def _change_card(self, folder: Path, changes: Mapping[str, Any]) -> None:
        card = json.loads((folder / CARD_FILE).read_text(encoding="utf-8"))
        from core.training.generations import sha256_of

        atomic.write_json(folder / CARD_FILE, {**card, **changes, "model_sha256": sha256_of(folder / MODEL_FILE)})


def _to_trash(path: Path, root: Path, name: str = "") -> Path:
    trash = root / TRASH
    trash.mkdir(parents=True, exist_ok=True)
    place = unique_path(trash / f"{name or path.name} {time.strftime('%Y-%m-%d %H.%M.%S')}")
    path.rename(place)
    return place
