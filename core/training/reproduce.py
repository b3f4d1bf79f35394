"""A run's manifest: what it takes to make the run again, and what has changed since. Light: no torch.

`manifest.json` of a run holds options, the model's configuration, the clips by sha256, hashes of data and code, library
versions and the device. On a CPU with the same versions, code and number of threads the same manifest gives the same
weights, bit for bit.
"""

import hashlib
import json
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

from core import atomic
from core.errors import BadInput, NotFound
from core.paths import REPO_ROOT
from core.settings import Settings
from core.training.engines import DEFAULT, engine_of, find, options_class, options_of
from core.training.options import RunOptions
from core.training.runs import Run, RunInfo, create_run

MANIFEST_FILE = "manifest.json"
FORMAT = 1
_CODE = ("core/training", "core/audio", "core/dataset")
_NOT_THE_RUN = ("name", "resume")


@lru_cache
def code_hash(engine: str) -> str:
    """sha256 over the sources that an engine's weights depend on. Raises BadInput for an unknown engine."""
    digest = hashlib.sha256()
    for folder in (*_CODE, *find(engine).code):
        for path in sorted((REPO_ROOT / folder).rglob("*.py")):
            digest.update(path.relative_to(REPO_ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def write_manifest(run: Run, info: RunInfo, options: RunOptions, where: dict[str, Any]) -> None:
    """Note what a run is, at its first start; later starts leave it alone. `where`: device, threads, precision, ranks.

    Raises:
        NoSpace: the disk is full.
    """
    path = run.path / MANIFEST_FILE
    if path.exists():
        return
    data = json.loads(run.data_file.read_text(encoding="utf-8"))
    start = Path(options.init_from) if options.init_from else None
    atomic.write_json(
        path,
        {
            "format": FORMAT,
            "run": run.name,
            "made_at": time.time(),
            "engine": options.engine,
            "options": {k: v for k, v in options.model_dump().items() if k not in _NOT_THE_RUN},
            "config": json.loads(run.config_file.read_text(encoding="utf-8")),
            "data_hash": data["data_hash"],
            "clips": {role: [row["features"] for row in data[role]] for role in ("train", "held_out")},
            "encoder_fingerprint": info.encoder_fingerprint,
            "init_from_sha256": hashlib.sha256(start.read_bytes()).hexdigest() if start else None,
            "code_hash": code_hash(options.engine),
            "versions": info.versions,
            **where,
        },
    )


def read_manifest(run: Run) -> dict[str, Any]:
    """The manifest of a run.

    Raises:
        NotFound: the run is older than manifests, or has not got that far.
        BadInput: the file is not one.
    """
    path = run.path / MANIFEST_FILE
    if not path.is_file():
        raise NotFound(f"The run '{run.name}' has no manifest.", "Runs get one once their features are made.")
    return check_manifest(path.read_bytes(), str(path))


def check_manifest(data: bytes, where: str) -> dict[str, Any]:
    """A manifest from bytes, such as an uploaded file.

    Raises:
        BadInput: it is not a manifest of a run.
    """
    try:
        found = json.loads(data)
    except ValueError as err:
        raise BadInput("This is not a run's manifest: it is not JSON.", _CHOOSE, where=where) from err
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise BadInput("This is not a run's manifest.", _CHOOSE, where=where)
    if not isinstance(found.get("options"), dict) or not isinstance(found.get("config"), dict):
        raise BadInput("This manifest lacks its options or its configuration.", _CHOOSE, where=where)
    return found


def recreate(settings: Settings, manifest: dict[str, Any], name: str | None = None) -> tuple[Run, list[str]]:
    """A new run, not yet started, that repeats the one of a manifest; train it by resuming it.

    Returns:
        The run, and a line for each thing that differs here and now: code, versions. (Clips that differ are told in the
        run's notes when it starts.)

    Raises:
        BadInput: options that this studio does not know.
        NotFound: the voice is not here.
    """
    from core.dataset.voices import VoiceStore

    options = options_of({**manifest["options"], "name": name})
    voice = VoiceStore(settings.voices_dir).get(options.voice)
    run = create_run(settings.runs, name or f"{manifest.get('run', voice.name)}-again", voice.name, options.preset)
    atomic.write_json(run.config_file, manifest["config"])
    differs = _differences(manifest)
    info = RunInfo(
        run.name,
        voice.name,
        options.preset,
        options.encoder,
        state="stopped",
        steps=options.steps,
        pitch=options.pitch,
        encoder_fingerprint=str(manifest.get("encoder_fingerprint", "")),
        started_at=time.time(),
        options=options.model_dump(),
        notes=[f"Repeats the run '{manifest.get('run', '?')}'.", *differs],
        manifest={"data_hash": manifest.get("data_hash")},
    )
    run.write(info)
    return run, differs


def _differences(manifest: dict[str, Any]) -> list[str]:
    from importlib.metadata import PackageNotFoundError, version

    found = []
    if manifest.get("code_hash") != code_hash(str(manifest.get("engine") or DEFAULT)):
        found.append("The studio's code differs from that of the first run: weights may differ too.")
    for package in ("torch", "numpy"):
        then = manifest.get("versions", {}).get(package)
        try:
            now = version(package)
        except PackageNotFoundError:
            now = "not installed"
        if then is not None and then.split("+")[0] != now.split("+")[0]:
            found.append(f"{package} is {now} here, it was {then}: weights may differ.")
    return found


def clone_options(info: RunInfo, changes: dict[str, Any]) -> dict[str, Any]:
    """The options of a run with some changed, to start a new run from.

    Raises:
        BadInput: naming what is wrong with the changes.
    """
    kept = {k: v for k, v in info.options.items() if k not in _NOT_THE_RUN}
    return options_of({**kept, **changes}).model_dump(exclude={"resume"})


def diff(one: RunInfo, other: RunInfo) -> list[tuple[str, Any, Any]]:
    """(setting, of one, of other) for each setting that differs; what an older run does not have counts as default."""
    defaults = options_class(engine_of(one)).model_validate({"voice": "-"}).model_dump()
    rows: list[tuple[str, Any, Any]] = []
    for name in defaults:
        if name in _NOT_THE_RUN:
            continue
        a, b = one.options.get(name, defaults[name]), other.options.get(name, defaults[name])
        if a != b:
            rows.append((name, a, b))
    if one.encoder_fingerprint != other.encoder_fingerprint:
        rows.append(("encoder_fingerprint", one.encoder_fingerprint, other.encoder_fingerprint))
    # A run that was repeated and has not started yet has none.
    for name in sorted({*one.versions, *other.versions}) if one.versions and other.versions else ():
        if one.versions.get(name) != other.versions.get(name):
            rows.append((f"version of {name}", one.versions.get(name), other.versions.get(name)))
    return rows


_CHOOSE = "Choose the manifest.json of a run folder."
