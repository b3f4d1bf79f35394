"""What hears a reference clip: a model folder's text tokenizer and its two ONNX models. A fraction of the whole."""

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.audio.resample import resample
from core.engines.cosyvoice2.features import PROMPT_RATE_HZ, TOKENIZER_RATE_HZ, prompt_mel, tokenizer_mel
from core.engines.cosyvoice2.released import read_released
from core.engines.cosyvoice2.speaker import Speaker, speaker_of
from core.errors import ModelFileError
from core.features.speaker import filter_bank
from core.speech.prompt import ReferenceClip, file_sha256

END_OF_PROMPT = "<|endofprompt|>"
# In the order in which upstream adds them after Qwen2's own: their ids follow from it.
_SPECIAL = (
    END_OF_PROMPT, "[breath]", "<strong>", "</strong>", "[noise]", "[laughter]", "[cough]", "[clucking]", "[accent]",
    "[quick_breath]", "<laughter>", "</laughter>", "[hissing]", "[sigh]", "[vocalized-noise]", "[lipsmack]", "[mn]",
)  # fmt: skip
TEXT_FOLDER = "CosyVoice-BlankEN"
_LONGEST_CLIP_S = 30


class Ears:
    """The speech tokenizer and the speaker encoder, by onnxruntime. Inputs go by position: names differ in files."""

    def __init__(self, folder: Path, version: int) -> None:
        """Of a released folder. Raises ModelFileError."""
        self._files = (folder / f"speech_tokenizer_v{version}.onnx", folder / "campplus.onnx")
        self._tokenizer, self._encoder = _onnx(self._files[0], 2), _onnx(self._files[1], 1)
        self._text = _tokenizer(folder)

    def text_ids(self, text: str) -> list[int]:
        """Text tokens; marks such as `[laughter]` are one each."""
        return list(self._text.encode(text, add_special_tokens=False))

    def speaker(self, clip: ReferenceClip) -> Speaker:
        """What the models make of the first 30 s of a clip; with its words it can be continued."""
        audio = clip.audio[: _LONGEST_CLIP_S * clip.rate_hz]
        high = torch.from_numpy(resample(audio, clip.rate_hz, PROMPT_RATE_HZ))
        low = torch.from_numpy(resample(audio, clip.rate_hz, TOKENIZER_RATE_HZ))
        tokens, embedding = self.tokens(low), self.embedding(low)
        return speaker_of(embedding, tokens, prompt_mel(high), self.text_ids(clip.text) if clip.text else None)

    def made_of(self, clip: ReferenceClip) -> dict[str, str]:
        """What a speaker depends on: other bytes, other words or other models make another one."""
        return {"clip": clip.sha256, "text": clip.text, "ears": self.fingerprint}

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


def load_ears(folder: Path) -> Ears:
    """The ears alone, to store a speaker with. Raises ModelFileError."""
    return Ears(folder, read_released(folder).version)


def _onnx(path: Path, n_inputs: int) -> Any:
    import onnxruntime

    if not path.is_file():
        raise missing(path)
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


def missing(path: Path) -> ModelFileError:
    """A file of the released folder that is not there."""
    return ModelFileError(
        f"{path.parent.name} lacks {path.name}.", "Copy the whole folder of the released model.", where=str(path)
    )


def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    path = folder / TEXT_FOLDER
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
