"""What a fine-tuning learns from: a voice's clips or a manifest, as tokens and latents. What is left out is said."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import atomic
from core.engines.voxcpm.batches import Utterance
from core.engines.voxcpm.latents import cached_latents, read_latents
from core.engines.voxcpm.lines import Line, read_manifest, voice_lines
from core.engines.voxcpm.loading import Network
from core.engines.voxcpm.train_options import VoxTrainOptions
from core.errors import BadInput
from core.speech import sentences
from core.training import holdout

if TYPE_CHECKING:
    from core.dataset.voices import Voice
    from core.jobs.context import JobContext

LEFT_OUT_NOTES = 20
"""So many clips that are left out are named in a run's notes; data.json names all."""


@dataclass(frozen=True)
class Example:
    """One clip ready to be learnt: text as tokens, sound as latents on the disk. `length`: positions that it takes."""

    id: str
    audio: Path
    text: str
    tokens: list[int]
    latents: Path
    reference: Path | None
    n_patches: int
    length: int

    @property
    def sha256(self) -> str:
        """Of the clip's bytes, which its latents are named after."""
        return self.latents.name.partition(".")[0]

    def utterance(self) -> Utterance:
        """With its latents, read from the disk. Raises ModelFileError."""
        reference = read_latents(self.reference) if self.reference is not None else None
        return Utterance(self.tokens, read_latents(self.latents), reference)


@dataclass(frozen=True)
class Material:
    """All examples of a run."""

    train: list[Example]
    held_out: list[Example]
    left_out: list[tuple[str, str]] = field(default_factory=list)
    """(id, why) of every clip that cannot be learnt from."""
    notes: list[str] = field(default_factory=list)

    @property
    def data_hash(self) -> str:
        """Over all clips' sounds, texts and roles."""
        rows = sorted(
            [role, one.sha256, one.text, one.reference.name if one.reference else ""]
            for role, examples in (("train", self.train), ("held", self.held_out))
            for one in examples
        )
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def gather(options: VoxTrainOptions, net: Network, voice: "Voice", cache: Path, ctx: "JobContext") -> Material:
    """The clips that the options mean, with latents made or found in `cache`.

    Nothing is left out silently: a clip that cannot be decoded, has no words, or is longer than the model is named.

    Raises:
        BadInput: nothing is left to learn from, or a manifest cannot be read.
        NoSpace, Cancelled.
    """
    lines, left_out = read_manifest(options.train_manifest) if options.train_manifest else (voice_lines(voice), [])
    found = _examples(lines, options, net, cache, ctx, left_out)
    if not found:
        first = f" ({left_out[0][0]}: {left_out[0][1]})" if left_out else ""
        raise BadInput(f"There is no clip to learn from{first}.", "Transcribe the clips, or choose others.")
    if not options.val_manifest:
        train, held, notes = holdout.split(found, options.probes, options.holdout)
        return Material(train, held, left_out, notes)
    more, missing = read_manifest(options.val_manifest)
    left_out += missing
    held = _examples(more, options, net, cache, ctx, left_out)
    known = {example.sha256 for example in found}
    both = sum(example.sha256 in known for example in held)
    notes = [f"{both} clips of the validation manifest are trained on as well."] if both else []
    return Material(found, held or found[:1], left_out, notes)


def _examples(
    lines: Sequence[Line],
    options: VoxTrainOptions,
    net: Network,
    cache: Path,
    ctx: "JobContext",
    left_out: list[tuple[str, str]],
) -> list[Example]:
    spoken = []
    for line in lines:
        if sentences.speakable(line.text):
            spoken.append(line)
        else:
            left_out.append((line.id, "it has no transcript"))
    if not net.is_v2 and any(line.reference for line in spoken):
        raise BadInput(
            "The manifest names reference clips (ref_audio), which only VoxCPM 2 can learn with.",
            "Leave that column out, or choose a VoxCPM 2 model.",
            where=options.train_manifest,
        )
    references = [line.reference for line in spoken if line.reference is not None]
    made = cached_latents(net, [*(line.audio for line in spoken), *references], cache, ctx, options.num_workers)
    of_reference = dict(zip(references, made[len(spoken) :], strict=True))
    found = []
    for line, latents in zip(spoken, made, strict=False):
        reference = of_reference[line.reference] if line.reference is not None else None
        example = _example(line, latents, reference, net)
        if isinstance(example, Example):
            found.append(example)
        else:
            left_out.append((line.id, example))
    return found


def _example(line: Line, latents: Path | BadInput, reference: Path | BadInput | None, net: Network) -> Example | str:
    """A clip ready to be learnt, or why it cannot be."""
    for made in (latents, reference):
        if isinstance(made, BadInput):
            return made.message
    assert isinstance(latents, Path)
    assert reference is None or isinstance(reference, Path)
    text = sentences.clean(line.text)
    tokens = net.model.text_tokenizer(text)
    example = Example(line.id, line.audio, text, tokens, latents, reference, 0, 0)
    utterance = example.utterance()
    if utterance.length > net.max_length:
        return f"text and sound take {utterance.length} positions, the model has {net.max_length}"
    return Example(line.id, line.audio, text, tokens, latents, reference, len(utterance.latents), utterance.length)


def left_out_notes(left_out: Sequence[tuple[str, str]]) -> list[str]:
    """Lines for a person: each of the first clips that are left out, and how many more."""
    notes = [f"{place} was left out: {why}." for place, why in left_out[:LEFT_OUT_NOTES]]
    more = len(left_out) - LEFT_OUT_NOTES
    return notes + ([f"{more} more clips were left out; data.json of the run names all."] if more > 0 else [])


def write_data_file(path: Path, material: Material) -> None:
    """data.json of a run. Raises NoSpace."""

    def rows(examples: Iterable[Example]) -> list[dict[str, Any]]:
        return [
            {"id": one.id, "features": one.latents.stem, "positions": one.length, "patches": one.n_patches}
            for one in examples
        ]

    content = {"data_hash": material.data_hash, "train": rows(material.train), "held_out": rows(material.held_out)}
    atomic.write_json(path, {**content, "left_out": [list(pair) for pair in material.left_out]})


def write_manifest(path: Path, examples: Iterable[Example]) -> None:
    """A train.jsonl that the package's script takes. Raises NoSpace."""
    rows = [{"audio": str(one.audio.absolute()), "text": one.text} for one in examples]
    atomic.write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
