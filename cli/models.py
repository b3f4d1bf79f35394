"""`models`: weights that are here or can be had, models of the voices, and the tools on model files."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.common import UsageError, add_command, given, open_studio, run_job
from cli.output import table
from core.errors import BadInput

if TYPE_CHECKING:
    from cli.output import Output
    from core.studio import Studio

USAGE = "usage: app.py models [import|info|compress|mix|merge|index|rename|delete|behave] ..."


def add(subparsers: Any) -> None:
    """Add the command and its own commands."""
    parser = add_command(subparsers, "models", "List weights and voice models; import, inspect and change model files.")
    parser.add_argument("--voice", metavar="NAME", help="only the models of this voice")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", parser_class=type(parser))

    one = add_command(actions, "import", "Bring over a so-vits-svc folder, its files, or a .zip of them.")
    one.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="folder, files or archive; nothing is changed")
    one.add_argument("--voice", metavar="NAME", help="name of the voice (default: the folder's or speaker's)")
    one.add_argument("--look", action="store_true", help="only say what is there and what would be done")
    one.add_argument("--every", action="store_true", help="every checkpoint, not only the newest")
    one.add_argument("--replace", action="store_true", help="replace encoders, vocoder and pitch model that are here")

    one = add_command(actions, "info", "Say what is inside a model file, before it is used.")
    one.add_argument("file", type=Path)
    one.add_argument("--config", type=Path, metavar="JSON", help="compare with this config.json")

    one = add_command(actions, "compress", "Make a model small: without what only training needs.")
    _model_or_file(one)
    one.add_argument("--half", action="store_true", help="in half precision: half the size, nearly the same sound")
    one.add_argument("--out", type=Path, metavar="FILE", help="of a file: .pth or .safetensors")
    one.add_argument("--name", metavar="NAME", default="", help="of a voice's model: the new one's name")

    one = add_command(actions, "mix", "A new model that is a weighted sum of several of the same shape.")
    one.add_argument("voice_name", metavar="VOICE")
    one.add_argument("parts", nargs="+", metavar="MODEL=PERCENT", help="MODEL or VOICE/MODEL, and its rate")
    one.add_argument("--mode", choices=("convex", "linear"), default="convex", help="softmax of the rates, or as given")
    one.add_argument("--name", metavar="NAME", default="", help="name of the new model (default: mix)")

    one = add_command(actions, "merge", "Add a VoxCPM LoRA to its model for good: a whole model that needs no LoRA.")
    one.add_argument("lora", metavar="LORA", help="name of one that was trained here, or its folder")
    one.add_argument("--out", type=Path, metavar="DIR", required=True, help="folder of the new model")

    one = add_command(actions, "index", "A faiss pickle or k-means file in, a safe file (.safetensors) out.")
    one.add_argument("file", type=Path)
    one.add_argument("--out", type=Path, metavar="FILE", help="default: beside the file")

    one = add_command(actions, "rename", "Give a voice's model another name.")
    _model(one)
    one.add_argument("new", metavar="NEW")
    one = add_command(actions, "delete", "Move a voice's model to the trash folder of the workspace.")
    _model(one)
    one = add_command(actions, "behave", "Use a model as so-vits-svc 4.1-stable (usual) or 4.1-latest does.")
    _model(one)
    one.add_argument("way", choices=("4.1-stable", "4.1-latest"))


def _model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("voice_name", metavar="VOICE")
    parser.add_argument("model", metavar="MODEL")


def _model_or_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", nargs="+", metavar="VOICE MODEL | FILE")


def run(options: argparse.Namespace, out: "Output") -> dict[str, Any]:
    """List, or do the action."""
    studio = open_studio(options)
    if options.action is None:
        return _list(studio, options.voice, out)
    result: dict[str, Any] = globals()[f"_{options.action}"](studio, options, out)
    return result


# ---- actions


def _import(studio: "Studio", options: argparse.Namespace, out: "Output") -> dict[str, Any]:
    chosen = given(options, "voice", "look", "every", "replace")
    paths = [str(path.absolute()) for path in options.paths]
    result = run_job(studio, "import-models", {"paths": paths, **chosen}, out)
    for row in result["files"]:
        out.line(f"{row['name']}: {row['says']}")
        if row["problem"]:
            out.line(f"    {row['problem']}")
            out.line(f"    {row['fix']}")
    out.line()
    for voice in result["voices"]:
        beside = ", ".join(voice["beside"]) or "nothing"
        where = voice["folder"] or "not imported"
        out.line(f"Voice {voice['voice']}, model {voice['model']} ({where}); beside it: {beside}")
        if voice["needs"]:
            out.line(f"    To convert with it: {voice['needs']}")
        elif voice["folder"]:
            out.line(f"    app.py convert {voice['voice']!r} FILE --model {voice['model']!r}")
    for row in result["installed"]:
        out.line(f"{row['name']} -> {row['what']}")
    if not result["looked"] and not result["installed"]:
        raise BadInput("Nothing was imported.", "What stands in the way is said for each file above.", where="paths")
    return result


def _info(studio: "Studio", options: argparse.Namespace, out: "Output") -> dict[str, Any]:
    told = studio.models.info(options.file, options.config)
    for name, value in told.items():
        if isinstance(value, dict):
            out.line(f"{name}:")
            for key, item in value.items():
                out.line(f"    {key}: {item}")
        elif value not in ("", None, []):
            out.line(f"{name}: {value}")
    return {"info": told}


def _compress(studio: "Studio", options: argparse.Namespace, out: "Output") -> dict[str, Any]:
    if len(options.what) == 2:
        folder = studio.models.compress(*options.what, half=options.half, name=options.name)
    elif len(options.what) == 1:
        source = Path(options.what[0])
        target = options.out or source.with_name(f"{source.stem}_release{'_half' if options.half else ''}.safetensors")
        folder = studio.models.compress_file(source, target, half=options.half)
    else:
        raise UsageError("models compress takes VOICE MODEL or one FILE", USAGE)
    out.line(str(folder))
    return {"made": str(folder)}


def _mix(studio: "Studio", options: argparse.Namespace, out: "Output") -> dict[str, Any]:
    parts: dict[str, float] = {}
    for text in options.parts:
        name, sign, rate = text.rpartition("=")
        try:
            parts[name] = float(rate)
        except ValueError:
            sign = ""
        if not sign:
            raise UsageError(f"{text!r} is not MODEL=PERCENT", USAGE)
    folder = studio.models.mix(options.voice_name, parts, options.mode, options.name)
    out.line(str(folder))
    return {"made": str(folder)}


def _merge(studio: "Studio", options: argparse.Namespace, out: "Output") -> dict[str, Any]:
    from core.engines.voxcpm.export import merge_trained

    folder = merge_trained(studio.settings, options.lora, options.out)
    out.line(str(folder))
    return {"made": str(folder)}


def _index(studio: "Studio", options: argparse.Namespace, out: "Output") -> dict[str, Any]:
    made = studio.models.convert_index(options.file, options.out)
    out.line(str(made))
    return {"made": str(made)}


def _rename(studio: "Studio", options: argparse.Namespace, out: "Output") -> dict[str, Any]:
    folder = studio.models.rename(options.voice_name, options.model, options.new)
    out.line(str(folder))
    return {"folder": str(folder)}


def _delete(studio: "Studio", options: argparse.Namespace, out: "Output") -> dict[str, Any]:
    place = studio.models.delete(options.voice_name, options.model)
    out.line(f"Moved to {place}.")
    return {"moved_to": str(place)}


def _behave(studio: "Studio", options: argparse.Namespace, out: "Output") -> dict[str, Any]:
    studio.models.behave(options.voice_name, options.model, options.way)
    out.line(f"{options.model} is used as so-vits-svc {options.way} would.")
    return {"behaviour": options.way}


# ---- the list


def _list(studio: "Studio", voice: str | None, out: "Output") -> dict[str, Any]:
    voices = [voice] if voice else [one.name for one in studio.voices()]
    trained = [model for name in voices for model in studio.voice_models(name, None)]
    present = [] if voice else studio.models.presence()
    for found in present:
        _pretrained(found, out)
    if present:
        out.line()
    if trained:
        rows = [[m.voice, m.name, m.engine, m.preset, str(m.step), str(m.path)] for m in trained]
        for line in table(rows, ["voice", "model", "engine", "preset", "step", "folder"]):
            out.line(line)
    else:
        out.line("No voice models yet: app.py train VOICE, or app.py models import PATH")
    result: dict[str, Any] = {"trained": [asdict(model) for model in trained]}
    if not voice:
        result["pretrained"] = [
            {**asdict(found.entry), "state": found.state, "path": found.path, "missing_here": found.missing}
            for found in present
        ]
    return result


def _pretrained(found: Any, out: "Output") -> None:
    from core.errors import human_bytes

    entry = found.entry
    size = human_bytes(entry.size_bytes) if entry.size_bytes else "in its package"
    out.line(f"{entry.name}: {found.state}; {size}; {entry.licence}")
    out.line(f"    {entry.purpose}")
    if found.state != "present":
        out.line(f"    from: {entry.origin}")
        out.line(f"    by hand: {entry.by_hand}")
        for name, sha256 in entry.checksums.items():
            out.line(f"    sha256 of {name}: {sha256}")
        if not entry.checksums:
            out.line("    sha256: not known")
