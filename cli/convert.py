"""`convert`: audio in one voice in, the same in another voice out."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.common import (
    UsageError,
    add_command,
    add_device,
    add_set,
    given,
    known_voice,
    named_path,
    open_studio,
    parse_set,
    run_job,
)
from core.errors import BadInput

if TYPE_CHECKING:
    from cli.output import Output
    from core.studio import Studio


USAGE = "usage: app.py convert VOICE FILE [FILE ...] [options]"
_NUMBER: dict[str, Any] = {"type": float, "metavar": "X"}
_WHOLE: dict[str, Any] = {"type": int, "metavar": "N"}
_PATH: dict[str, Any] = {"metavar": "FILE"}
_ON: dict[str, Any] = {"action": "store_const", "const": True}
# Groups of options by their names in ConvertOptions: how each is given, and its line of help.
GROUPS: dict[str, dict[str, tuple[dict[str, Any], str]]] = {
    "pitch": {
        "pitch": ({"metavar": "NAME"}, "predictor: fcpe, rmvpe, crepe, harvest, dio, pm (default: fcpe)"),
        "f0_threshold": (_NUMBER, "least confidence of a voiced frame, 0..1 (default: the predictor's own)"),
        "f0_file": (_PATH, "a pitch track (.npy) in place of a predictor"),
        "predict_f0": (_ON, "let the model make the melody (speech only)"),
    },
    "likeness": {
        "blend": (_NUMBER, "0..1: how far the content is drawn towards the training voice (default: 0)"),
        "blend_by": ({"choices": ("kmeans", "retrieval")}, "by k-means centres or by retrieval (default: kmeans)"),
        "blend_file": (_PATH, "its file (default: the one beside the model)"),
    },
    "diffusion and enhancer": {
        "diffusion": ({"choices": ("off", "shallow", "only")}, "refine by a diffusion model, or make all by it"),
        "diffusion_model": (_PATH, "model_*.pt (default: the newest in the model's folder diffusion)"),
        "diffusion_config": (_PATH, "config.yaml (default: the one beside it)"),
        "k_step": (_WHOLE, "shallow: steps back to noise, 1..1000 (default: 100)"),
        "sampler": ({"metavar": "NAME"}, "naive, ddim, pndm, dpm-solver, dpm-solver++, unipc (default: its config's)"),
        "speedup": (_WHOLE, "steps at once (default: its config's)"),
        "second_encoding": (_ON, "shallow: hear the content again in what the voice model made"),
        "vocoder": (_PATH, "NSF-HiFi-GAN file (default: pretrain/nsf_hifigan)"),
        "enhance": (_ON, "make the result again by NSF-HiFi-GAN; not with diffusion"),
        "enhancer_key": (_NUMBER, "semitones that the enhancer hears it lower (default: 0)"),
    },
    "loudness and cutting": {
        "noise_scale": (_NUMBER, "randomness of the generator (default: 0.4)"),
        "loudness_envelope": (_NUMBER, "1: the voice's own loudness, 0: the source's (default: 1)"),
        "slice_db": (_NUMBER, "level below which a passage is silence, dBFS (default: -40)"),
        "pad_s": (_NUMBER, "seconds of context at each side of a passage (default: 0.5)"),
        "clip_s": (_NUMBER, "cut every so many seconds; 0: only at silence (default: 0)"),
        "crossfade_s": (_NUMBER, "overlap of pieces cut by --clip-s, seconds (default: 0)"),
        "crossfade_keep": (_NUMBER, "share of the overlap that is faded over, 0..1 (default: 0.75)"),
        "seed": (_WHOLE, "the same seed gives the same file"),
    },
}


def transpose(text: str) -> float | str:
    """A number of semitones, or `auto`."""
    if text == "auto":
        return text
    try:
        return float(text)
    except ValueError as err:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number of semitones nor 'auto'") from err


def transposes(text: str) -> list[float | str]:
    """`3` or `0,5,auto`: one of every file."""
    return [transpose(part.strip()) for part in text.split(",")]


def speakers(text: str) -> list[str]:
    """`Ann` or `Ann,Bo`."""
    found = [part.strip() for part in text.split(",") if part.strip()]
    if not found:
        raise argparse.ArgumentTypeError("is empty")
    return found


def add(subparsers: Any) -> None:
    """Add the command."""
    parser = add_command(subparsers, "convert", "Convert files of any length with a trained voice.")
    parser.add_argument("voice", nargs="?", help="name of the voice")
    parser.add_argument("files", nargs="*", type=Path, help="audio or video files")
    parser.add_argument("--folder", type=named_path, metavar="DIR", help="convert all recordings below a folder")
    parser.add_argument(
        "--from-sidecar", type=Path, metavar="JSON", help="repeat the conversion that a result's .json describes"
    )
    parser.add_argument("--preset", metavar="NAME|FILE", help="settings kept under a name, or shared as a file")
    parser.add_argument("--save-preset", metavar="NAME", help="keep these settings; alone it converts nothing")
    parser.add_argument("--list-presets", action="store_true", help="list what is kept")
    parser.add_argument("--model", metavar="NAME", help="one of the voice's models (default: the newest)")
    parser.add_argument(
        "--speaker", type=speakers, metavar="NAME[,NAME]", help="of a model of several (default: first)"
    )
    parser.add_argument("--speaker-mix", metavar="FILE", help="speakers' shares over time (.json, or 4.1's spkmix.py)")
    parser.add_argument(
        "--transpose", type=transposes, metavar="N|auto[,N]", help="semitones up or down; one a file (default: 0)"
    )
    parser.add_argument("--format", choices=("wav", "flac", "mp3"), help="of the result (default: wav)")
    parser.add_argument(
        "--out", type=named_path, metavar="PATH", help="result file, or folder for several (default: outputs)"
    )
    for title, options in GROUPS.items():
        group = parser.add_argument_group(title)
        for name, (how, words) in options.items():
            group.add_argument("--" + name.replace("_", "-"), help=words, **how)
    add_set(parser, "conversion")
    add_device(parser)


def target(out_path: Path | None, source: Path, n_files: int, suffix: str) -> Path | None:
    """Where the result of `source` goes. None leaves the choice to the workspace's outputs folder."""
    if out_path is None:
        return None
    if n_files > 1 or out_path.is_dir() or not out_path.suffix:
        return out_path / f"{source.stem}.{suffix}"
    return out_path


def run(options: argparse.Namespace, out: "Output") -> dict[str, Any]:
    """Convert files, or repeat a conversion by its sidecar."""
    if options.from_sidecar is not None:
        return _repeat(open_studio(options), options, out)
    if options.list_presets:
        return _list(open_studio(options), out)
    chosen = _chosen(options)
    if options.save_preset and not options.voice:
        return _save(open_studio(options), options, chosen, out)
    if not options.voice or not (options.files or options.folder):
        raise UsageError("convert needs a voice and at least one file, --folder DIR, or --from-sidecar JSON", USAGE)
    studio = open_studio(options)
    chosen = {**(studio.conversion.presets.get(options.preset).options if options.preset else {}), **chosen}
    if options.out and options.out.suffix.lower() in (".wav", ".flac", ".mp3") and "format" not in _chosen(options):
        chosen["format"] = options.out.suffix.lower()[1:]
    known_voice(studio, options.voice)
    if options.save_preset:
        studio.conversion.presets.save(options.save_preset, chosen)
    items = _items(options)
    if options.out and (len(items) > 1 or options.folder) and options.out.is_file():
        raise BadInput(f"{options.out} is a file.", "For several files name a folder.", where="--out")
    if len(items) > 1 or options.folder:
        return _batch(studio, options, chosen, items, out)
    params = {"voice": options.voice, **chosen, **items[0]}
    place = target(options.out, Path(params["source"]), 1, str(chosen.get("format", "wav")))
    if place is not None:
        params["out"] = str(place.absolute())
    return {"voice": options.voice, "outputs": [_one(studio, params, out)]}


def _chosen(options: argparse.Namespace) -> dict[str, Any]:
    """Options that hold for every file."""
    names = [name for group in GROUPS.values() for name in group]
    chosen = given(options, "model", "speaker_mix", "format", *names)
    for name in ("f0_file", "blend_file", "diffusion_model", "diffusion_config", "vocoder", "speaker_mix"):
        # A name that is a file here is that file; else it is one beside the model.
        if name in chosen and Path(chosen[name]).is_file():
            chosen[name] = str(Path(chosen[name]).absolute())
    return chosen | parse_set(options.set)


def _items(options: argparse.Namespace) -> list[dict[str, Any]]:
    from core.engines.sovits.convert_batch import items_of, sounds_below

    sources = [Path(file).absolute() for file in options.files]
    if options.folder:
        sources += [path.absolute() for path in sounds_below(options.folder)]
    return items_of(sources, options.transpose or [], options.speaker or [])


def _one(studio: "Studio", params: dict[str, Any], out: "Output") -> dict[str, Any]:
    result = run_job(studio, "convert", params, out)
    out.line(f"{result['output']}  ({result['duration_s']:.1f} s, {result['rtf']:.2f} x real time)")
    for warning in result["warnings"]:
        out.line(f"  {warning}")
    return result


def _batch(
    studio: "Studio", options: argparse.Namespace, chosen: dict[str, Any], items: list[dict[str, Any]], out: "Output"
) -> dict[str, Any]:
    """Several files: one's error is told, and the others go on."""
    folder = options.out.absolute() if options.out else None
    params = studio.conversion.batch_params({"voice": options.voice, **chosen}, items, folder)
    result = run_job(studio, "convert-batch", params, out)
    for row in result["files"]:
        if row["state"] == "completed":
            out.line(f"{row['output']}  ({row['duration_s']:.1f} s, {row['rtf']:.2f} x real time)")
        else:
            out.line(f"{row['source']}: {row['error']['message']} {row['error']['hint']}".rstrip())
    done = [row for row in result["files"] if row["state"] == "completed"]
    if result["failed"]:
        raise BadInput(
            f"{result['failed']} of {len(result['files'])} recordings could not be converted; the others are done.",
            f"The report says why: {result['report']}.",
            where=result["report"],
        )
    return {"voice": options.voice, "outputs": done, "report": result["report"]}


def _list(studio: "Studio", out: "Output") -> dict[str, Any]:
    presets = studio.conversion.presets.list()
    for one in presets:
        said = ", ".join(f"{name}={value}" for name, value in one.options.items())
        out.line(f"{one.name}{' (built in)' if one.built_in else ''}: {said}")
    return {"presets": [{"name": one.name, "built_in": one.built_in, "options": one.options} for one in presets]}


def _save(studio: "Studio", options: argparse.Namespace, chosen: dict[str, Any], out: "Output") -> dict[str, Any]:
    """Keep settings, on top of those of --preset (so a shared file is taken in)."""
    presets = studio.conversion.presets
    base = presets.get(options.preset).options if options.preset else {}
    single = {"transpose": options.transpose[0]} if options.transpose else {}
    saved = presets.save(options.save_preset, {**base, **single, **chosen})
    out.line(f"{saved.name}: {len(saved.options)} settings kept in {presets.folder}")
    return {"preset": saved.name, "options": saved.options}


def _repeat(studio: "Studio", options: argparse.Namespace, out: "Output") -> dict[str, Any]:
    """The same conversion again: source and model are checked to be those of the sidecar; only --out may be given."""
    from core.engines.sovits.convert_options import options_from_sidecar

    if options.voice or options.files:
        raise BadInput("--from-sidecar takes voice and file from the sidecar.", "Leave them out.", where="convert")
    params = options_from_sidecar(options.from_sidecar)
    place = target(options.out, Path(params["source"]), 1, str(params["format"]))
    if place is not None:
        params["out"] = str(place.absolute())
    return {"voice": params["voice"], "outputs": [_one(studio, params, out)]}
