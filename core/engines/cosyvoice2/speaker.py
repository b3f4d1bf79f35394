"""A voice to speak with: what the models need of a reference clip, kept so that using it encodes nothing again."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import atomic
from core.errors import BadInput, Conflict, ModelFileError, NotFound
from core.models.safe_load import load_checkpoint
from core.paths import safe_name, unique_path

if TYPE_CHECKING:
    from torch import Tensor

SPEAKERS = "speakers"  # the folder in a voice's
_SUFFIX = ".speaker.safetensors"
_FORM = "cosyvoice speaker 1"
_TRASH = ".trash"
_TOKENS_A_S = 25


@dataclass(frozen=True)
class Speaker:
    """A voice.

    Attributes:
        embedding: [1, 192].
        tokens: [1, P] speech tokens of the clip; P is 0 for a preset voice without one.
        mel: [1, 80, 2 P].
        text: [1, n] text tokens of what is said in it; n is 0 if unknown.
    """

    embedding: "Tensor"
    tokens: "Tensor"
    mel: "Tensor"
    text: "Tensor"

    @cached_property
    def digest(self) -> bytes:
        """Of what the flow continues: equal for the same clip, whoever read it."""
        made = hashlib.blake2b(digest_size=16)
        for part in (self.embedding, self.tokens, self.mel):
            made.update(part.contiguous().numpy().tobytes())
        return made.digest()

    @property
    def has_clip(self) -> bool:
        """Whether there is a clip to continue."""
        return self.tokens.shape[1] > 0

    @property
    def has_text(self) -> bool:
        """Whether what is said in it is known."""
        return self.text.shape[1] > 0


@dataclass(frozen=True)
class About:
    """What a stored speaker is. `made_of`: see `Ears.made_of`; `text` what is said in the clip of `seconds`."""

    name: str
    seconds: float
    text: str
    made_of: dict[str, str]


def speaker_of(
    embedding: Any, tokens: Any = None, mel: Any = None, text: Any = None, where: str = "speaker"
) -> Speaker:
    """A checked speaker; the mel may be [1, T, 80] or [1, 80, T], and what does not pair up is cut.

    Raises ModelFileError.
    """
    import torch

    try:
        embedding = torch.as_tensor(embedding).float().reshape(1, -1)
        tokens = _row(tokens)
        text = _row(text)
        mel = torch.empty(1, 80, 0) if mel is None else torch.as_tensor(mel).float()
        mel = mel.reshape(1, *mel.shape[-2:])
        if mel.shape[1] != 80:
            mel = mel.transpose(1, 2)
        if mel.shape[1] != 80 or not torch.isfinite(mel).all() or not torch.isfinite(embedding).all():
            raise ValueError(f"a mel of shape {tuple(mel.shape)}, or numbers that are none")
    except (TypeError, ValueError, RuntimeError) as err:
        raise ModelFileError(
            f"{Path(where).name} holds no speaker: {err}.", "Add the speaker again from its clip.", where=where
        ) from err
    n_tokens = min(tokens.shape[1], mel.shape[2] // 2)
    return Speaker(embedding, tokens[:, :n_tokens], mel[..., : 2 * n_tokens].contiguous(), text)


def _row(ids: Any) -> "Tensor":
    import torch

    return torch.empty(1, 0, dtype=torch.long) if ids is None else torch.as_tensor(ids).long().reshape(1, -1)


def read_presets(path: Path) -> dict[str, Speaker]:
    """The voices of a `spk2info.pt`, of either schema: an embedding alone, or a stored clip. Raises ModelFileError."""
    data = load_checkpoint(path)
    if not isinstance(data, dict) or not all(isinstance(entry, dict) for entry in data.values()):
        raise ModelFileError(f"{path.name} is no table of speakers.", "Copy the file again.", where=str(path))
    found = {}
    for name, entry in data.items():
        embedding = next((entry[key] for key in ("embedding", "llm_embedding", "flow_embedding") if key in entry), None)
        if embedding is None:
            raise ModelFileError(
                f"The speaker {name!r} in {path.name} has no embedding.", "Copy the file again.", where=str(path)
            )
        tokens = entry.get("flow_prompt_speech_token", entry.get("llm_prompt_speech_token"))
        text = entry.get("prompt_text")
        text = None if isinstance(text, str) else text
        found[str(name)] = speaker_of(embedding, tokens, entry.get("prompt_speech_feat"), text, str(path))
    return found


class SpeakerStore:
    """Speakers as safetensors files in one folder, a voice's or a shared one. Names keep their letters."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> list[str]:
        """What is there, sorted."""
        if not self.folder.is_dir():
            return []
        return sorted(path.name.removesuffix(_SUFFIX) for path in self.folder.glob(f"*{_SUFFIX}"))

    def _path(self, name: str) -> Path:
        return self.folder / f"{safe_name(name, 'speaker')}{_SUFFIX}"

    def recall(self, name: str, made_of: Mapping[str, str]) -> Speaker | None:
        """A speaker that was added with the same `made_of`; None if it was not, or cannot be read any more."""
        from safetensors import SafetensorError, safe_open

        path = self._path(name)
        try:
            with safe_open(path, "pt") as handle:
                if handle.metadata() != {"form": _FORM, **made_of}:
                    return None
            return self.get(name)
        except (OSError, SafetensorError, ModelFileError, NotFound):
            return None  # what was kept is made again

    def add(
        self, name: str, speaker: Speaker, *, replace: bool = False, made_of: Mapping[str, str] | None = None
    ) -> Path:
        """Store a speaker; `made_of` says of which clip and by which model. Raises Conflict if the name is taken,
        unless it may be replaced."""
        import safetensors.torch

        path = self._path(name)
        if path.exists() and not replace:
            raise Conflict(f"There is a speaker {name!r} already.", "Choose another name, or rename it.", where=name)
        tensors = {
            "embedding": speaker.embedding, "tokens": speaker.tokens, "mel": speaker.mel, "text": speaker.text
        }  # fmt: skip
        self.folder.mkdir(parents=True, exist_ok=True)
        meta = {"form": _FORM, **(made_of or {})}
        data = safetensors.torch.save({key: value.contiguous() for key, value in tensors.items()}, meta)
        atomic.write_bytes(path, data)
        return path

    def get(self, name: str) -> Speaker:
        """A stored speaker. Raises NotFound, ModelFileError."""
        from core.models.safe_load import load_tensors

        path = self._existing(name)
        tensors = load_tensors(path)
        if set(tensors) != {"embedding", "tokens", "mel", "text"}:
            raise ModelFileError(f"{path.name} holds no speaker.", "Add it again from its clip.", where=str(path))
        return speaker_of(tensors["embedding"], tensors["tokens"], tensors["mel"], tensors["text"], str(path))

    def about(self, name: str) -> About:
        """What is known of a stored speaker without reading its tensors. Raises NotFound, ModelFileError."""
        from safetensors import SafetensorError, safe_open

        path = self._existing(name)
        try:
            with safe_open(path, "pt") as handle:
                made_of = dict(handle.metadata() or {})
                n_tokens = handle.get_slice("tokens").get_shape()[1]
        except (OSError, SafetensorError, IndexError) as err:
            raise ModelFileError(
                f"{path.name} holds no speaker.", "Add it again from its clip.", where=str(path)
            ) from err
        made_of.pop("form", None)
        return About(path.name.removesuffix(_SUFFIX), n_tokens / _TOKENS_A_S, made_of.get("text", ""), made_of)

    def _existing(self, name: str) -> Path:
        path = self._path(name)
        if not path.is_file():
            raise NotFound(
                f"There is no speaker {name!r}.", f"There are: {', '.join(self.names()) or 'none yet'}.", where=name
            )
        return path

    def rename(self, name: str, new_name: str) -> None:
        """Give a speaker another name. Raises NotFound, Conflict, BadInput."""
        source, target = self._existing(name), self._path(new_name)
        if not new_name.strip():
            raise BadInput("A speaker needs a name.", "Write one.", where="name")
        if target.exists():
            raise Conflict(f"There is a speaker {new_name!r} already.", "Choose another name.", where=new_name)
        source.rename(target)

    def delete(self, name: str) -> None:
        """Move a speaker to the trash beside the others. Raises NotFound."""
        path, trash = self._existing(name), self.folder / _TRASH
        trash.mkdir(exist_ok=True)
        path.rename(unique_path(trash / path.name))
