"""A released model folder, read strictly: settings, weights, tokenizer, and the two ONNX models that hear a clip."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.audio.resample import resample
from core.engines.cosyvoice2.features import PROMPT_RATE_HZ, TOKENIZER_RATE_HZ, prompt_mel, tokenizer_mel
from core.engines.cosyvoice2.flow import Flow
from core.engines.cosyvoice2.hift import Hift
from core.engines.cosyvoice2.language_model import UNUSED, LanguageModel
from core.engines.cosyvoice2.released import ReleasedConfig, read_released
from core.engines.cosyvoice2.speaker import Speaker, read_presets, speaker_of
from core.engines.cosyvoice2.weights import folded
from core.errors import ModelFileError, Unavailable
from core.features.speaker import filter_bank
from core.models.safe_load import load_tensors, strict_load
from core.speech.prompt import file_sha256

END_OF_PROMPT = "<|endofprompt|>"
# In the order in which upstream adds them after Qwen2's own: their ids follow from it.
_SPECIAL = (
    END_OF_PROMPT, "[breath]", "<strong>", "</strong>", "[noise]", "[laughter]", "[cough]", "[clucking]", "[accent]",
    "[quick_breath]", "<laughter>", "</laughter>", "[hissing]", "[sigh]", "[vocalized-noise]", "[lipsmack]", "[mn]",
)  # fmt: skip
_TEXT_FOLDER = "CosyVoice-BlankEN"
_LONGEST_CLIP_S = 30


@dataclass
class Model:
    """A loaded model. Nothing in it belongs to a request."""

    folder: Path
    config: ReleasedConfig
    language_model: LanguageModel
    flow: Flow
    hift: Hift
    tokenizer: Any
    ears: "Ears"
    presets: dict[str, Speaker]

    @property
    def memory_bytes(self) -> int:
        """What the weights take."""
        modules = (self.language_model, self.flow, self.hift)
        return sum(p.numel() * p.element_size() for module in modules for p in module.parameters())

    def text_ids(self, text: str) -> list[int]:
        """Text tokens; marks such as `[laughter]` are one each."""
        return list(self.tokenizer.encode(text, add_special_tokens=False))

    def speaker(self, audio: "np.ndarray[Any, Any]", rate_hz: int, text: str = "") -> Speaker:
        """What the models make of a clip, mono `[N]`, of up to 30 s; `text` is what is said in it."""
        audio = audio[: _LONGEST_CLIP_S * rate_hz]
        high = torch.from_numpy(resample(audio, rate_hz, PROMPT_RATE_HZ))
        low = torch.from_numpy(resample(audio, rate_hz, TOKENIZER_RATE_HZ))
        tokens, embedding = self.ears.tokens(low), self.ears.embedding(low)
        return speaker_of(embedding, tokens, prompt_mel(high), self.text_ids(text) if text else None)


class Ears:
    """The speech tokenizer and the speaker encoder, by onnxruntime. Inputs go by position: names differ in files."""

    def __init__(self, tokenizer: Path, encoder: Path) -> None:
        self._tokenizer, self._encoder = _onnx(tokenizer, 2), _onnx(encoder, 1)
        self._files = (tokenizer, encoder)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of both files, hexadecimal; reads them once."""
        digest = hashlib.sha256()
        for path in self._files:
            digest.update(bytes.fromhex(file_sha256(path)))
        return digest.hexdigest()

    def tokens(self, audio: Tensor) -> list[int]:
        """Speech tokens, 25 a second, of audio [N] at 16 kHz."""
        mel = tokenizer_mel(audio).numpy()
        found = _run(self._tokenizer, mel, np.array([mel.shape[2]], np.int32))
        return [int(token) for token in found.flatten()]

    def embedding(self, audio: Tensor) -> Tensor:
        """The speaker's embedding [1, 192] of audio [N] at 16 kHz."""
        bank = filter_bank(audio.numpy())[None]
        return torch.from_numpy(np.asarray(_run(self._encoder, bank), np.float32)).reshape(1, -1)


def _onnx(path: Path, n_inputs: int) -> Any:
    import onnxruntime

    if not path.is_file():
        raise _missing(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    # onnxruntime raises its own kinds for a damaged file; none may reach a user as it is.
    except Exception as err:
        raise ModelFileError(f"{path.name} cannot be read as ONNX.", "Copy the file again.", where=str(path)) from err
    if len(session.get_inputs()) != n_inputs:
        raise ModelFileError(
            f"{path.name} takes {len(session.get_inputs())} inputs, not {n_inputs}.",
            "It is another model; copy the released file again.",
            where=str(path),
        )
    return session


def _run(session: Any, *values: Any) -> Any:
    names = [one.name for one in session.get_inputs()]
    return session.run(None, dict(zip(names, values, strict=True)))[0]


def load_model(folder: Path, device: str = "cpu") -> Model:
    """Load a released folder. Raises ModelFileError (missing, damaged, does not fit), Unavailable."""
    if not folder.is_dir():
        raise Unavailable(
            f"There is no folder {folder}.", "Choose the folder of a CosyVoice2 model.", where=str(folder)
        )
    config = read_released(folder)
    version_3 = config.version == 3
    language_model = LanguageModel(config.language_model, _trunk_config(folder))
    strict_load(language_model, _tensors(folder / "llm.pt"), str(folder / "llm.pt"), may_ignore=UNUSED)
    flow, hift = Flow(config.flow), Hift(config.hift)
    strict_load(flow, _tensors(folder / "flow.pt"), str(folder / "flow.pt"))
    strict_load(hift, folded(_tensors(folder / "hift.pt"), "generator."), str(folder / "hift.pt"))
    for module in (language_model, flow, hift):
        module.eval().requires_grad_(False).to(device)
    presets = folder / "spk2info.pt"
    return Model(
        folder,
        config,
        language_model,
        flow,
        hift,
        _tokenizer(folder),
        Ears(folder / f"speech_tokenizer_v{3 if version_3 else 2}.onnx", folder / "campplus.onnx"),
        read_presets(presets) if presets.is_file() else {},
    )


def _tensors(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise _missing(path)
    return load_tensors(path)


def _missing(path: Path) -> ModelFileError:
    return ModelFileError(
        f"{path.parent.name} lacks {path.name}.", "Copy the whole folder of the released model.", where=str(path)
    )


def _trunk_config(folder: Path) -> Any:
    from transformers import Qwen2Config

    path = folder / _TEXT_FOLDER / "config.json"
    if not path.is_file():
        raise _missing(path)
    try:
        return Qwen2Config(**json.loads(path.read_text("utf-8")))
    except (ValueError, TypeError, AttributeError) as err:
        raise ModelFileError(f"{path.name} is no Qwen2 config.", "Copy the file again.", where=str(path)) from err


def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    path = folder / _TEXT_FOLDER
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(path), local_files_only=True, trust_remote_code=False)
    # The package raises many kinds for files that are missing or odd.
    except Exception as err:
        raise ModelFileError(
            f"The tokenizer in {path.name} cannot be read.",
            "Copy vocab.json, merges.txt and tokenizer_config.json again.",
            where=str(path),
        ) from err
    tokenizer.add_special_tokens({"additional_special_tokens": list(_SPECIAL)})
    return tokenizer
