"""`train`: a dataset in, a voice model out."""

import argparse
from typing import TYPE_CHECKING, Any

from cli.common import add_command, add_device, add_set, given, known_voice, open_studio, parse_set, run_job
from cli.doctor import show
from core.checks import worst
from core.errors import BadInput

if TYPE_CHECKING:
    from cli.output import Output


def add(subparsers: Any) -> None:
    """Add the command."""
    parser = add_command(subparsers, "train", "Train a voice on its accepted clips, or go on with a run.")
    parser.add_argument("voice", nargs="?", help="name of the voice (not needed with --resume)")
    parser.add_argument("--engine", metavar="NAME", help="what is trained: sovits (default) or voxcpm")
    parser.add_argument("--config", metavar="FILE", help="YAML of VoxCPM's own training script, with --engine voxcpm")
    parser.add_argument("--lora", action="store_true", help="voxcpm: train a LoRA (the same as --preset lora)")
    presets = ("lite", "tiny", "standard", "full", "lora")
    parser.add_argument("--preset", choices=presets, help="sovits: model size (lite); voxcpm: full or lora (lora)")
    parser.add_argument("--encoder", metavar="NAME", help="content encoder (default: builtin)")
    parser.add_argument("--pitch", metavar="NAME", help="pitch predictor (default: fcpe)")
    parser.add_argument("--steps", type=int, metavar="N", help="optimiser steps in all")
    parser.add_argument("--batch-size", type=int, metavar="N", help="clips a step; 0: the preset's own")
    parser.add_argument("--precision", choices=("auto", "fp32", "fp16", "bf16"), help="number format (default: auto)")
    parser.add_argument("--seed", type=int, metavar="N", help="seed (default: 1234)")
    parser.add_argument("--name", metavar="RUN", help="name of the run's folder")
    parser.add_argument("--resume", metavar="RUN", help="go on with this run")
    parser.add_argument("--devices", metavar="N,N", help="GPUs that train together, such as 0,1")
    parser.add_argument("--ranks", type=int, metavar="N", help="processes that train together, on GPUs or the CPU")
    parser.add_argument("--cluster", metavar="ADDRESS", help="have a Ray cluster train it: see docs/cluster.md")
    parser.add_argument("--force", action="store_true", help="start even where the pre-flight says no")
    add_set(parser, "training")
    add_device(parser)


def run(options: argparse.Namespace, out: "Output") -> dict[str, Any]:
    """Pre-flight, then train here and now. Ctrl-C saves and stops."""
    studio = open_studio(options)
    known = _engine_and_voice(studio, options)
    voice = known.pop("voice")
    if not voice:
        raise BadInput("Which voice?", "Name one: app.py train VOICE; `app.py voices` lists them.", where="voice")
    known_voice(studio, voice)
    chosen = given(options, "preset", "encoder", "pitch", "steps", "batch_size", "precision", "seed", "name", "resume")
    chosen |= given(options, "devices", "ranks", "cluster")
    chosen |= {"preset": "lora"} if options.lora else {}
    params = {"voice": voice, **known, **_of_config(options), **chosen, **parse_set(options.set)}
    checks = studio.preflight(params)
    show([check for check in checks if check.verdict != "ok"], out)
    if worst(checks) == "fail" and not options.force:
        failed = [check for check in checks if check.verdict == "fail"]
        raise BadInput(
            "Not started: " + "; ".join(f"{check.name}: {check.detail}" for check in failed),
            " ".join(check.fix for check in failed if check.fix) + " (--force starts all the same.)",
            where="pre-flight",
        )
    result = run_job(studio, "train", params, out)
    out.line(f"Run {result['run']}, step {result['step']}: {result['model']}")
    return {"voice": voice, **result}


def _engine_and_voice(studio: Any, options: argparse.Namespace) -> dict[str, Any]:
    """As given, or those of the run to go on with."""
    found = {**given(options, "engine"), "voice": options.voice}
    if not options.resume:
        return found
    info = next((info for info in studio.runs() if info.name == options.resume), None)
    if info is None:
        raise BadInput(f"There is no run '{options.resume}'.", "`app.py train --resume` takes a folder name of logs.")
    from core.training.engines import engine_of

    return {"engine": engine_of(info), "voice": options.voice or info.voice}


def _of_config(options: argparse.Namespace) -> dict[str, Any]:
    if not options.config:
        return {}
    from core.training.engines import DEFAULT, params_of_config

    return params_of_config(options.engine or DEFAULT, options.config)
