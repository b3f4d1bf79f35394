"""One process of a training that several share, as `core.training.ranks` starts it, or torchrun::

    torchrun --nproc-per-node 4 -m core.training.launch --settings settings.json --params params.json

On several machines add torchrun's --nnodes and --rdzv-endpoint, and keep the workspace on storage that all of them
see. The files hold a `Settings` and the parameters of a training job. Rank 0 reports on standard output, one JSON
object a line: {"progress", "message"}, and at last {"result"}; a rank that fails says {"error"}.
"""

import argparse
import contextlib
import json
import logging
import signal
import sys
import threading
from pathlib import Path

from core import atomic
from core.errors import StudioError
from core.jobs import handlers
from core.jobs.context import ForegroundContext
from core.settings import Settings


def main(arguments: list[str]) -> int:
    """Train as one rank; the exit code is 0 if the run completed or was stopped and saved, 1 on an error."""
    parser = argparse.ArgumentParser(prog="core.training.launch", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--settings", type=Path, required=True)
    parser.add_argument("--params", type=Path, required=True)
    parser.add_argument("--follow", action="store_true", help="stop, as on SIGTERM, when standard input is closed")
    parser.add_argument("--answer", type=Path, help="also write the result or the error there")
    given = parser.parse_args(arguments)
    settings = Settings.model_validate_json(given.settings.read_text(encoding="utf-8"))
    params = json.loads(given.params.read_text(encoding="utf-8"))
    from core.training.parallel import environment_rank

    first = environment_rank() == 0

    def say(**answer: object) -> None:
        with contextlib.suppress(OSError):  # whoever listened is gone: the stop that follows saves all the same
            sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
            sys.stdout.flush()

    def show(fraction: float, message: str) -> None:
        if first:
            say(progress=fraction, message=message)

    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    logging.getLogger("core").setLevel(settings.log_level.upper())
    context = ForegroundContext(settings, show)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: context.request_cancel())
    if given.follow:
        threading.Thread(target=_stop_at_end_of_input, args=(context,), daemon=True).start()
    run_train = handlers.resolve(handlers.HANDLERS["train"].target)
    try:
        result = run_train(params, context)
    except StudioError as err:
        say(error=err.to_dict())
        _leave(given.answer, {"error": err.to_dict()})
        return 1
    if first:
        say(result=result)
        _leave(given.answer, {"result": result})
    return 0


def _leave(path: Path | None, answer: dict[str, object]) -> None:
    """For somebody who only sees the storage."""
    if path is not None:
        with contextlib.suppress(StudioError):  # a full disk: whoever waits sees how the process ended
            atomic.write_json(path, answer)


def _stop_at_end_of_input(context: ForegroundContext) -> None:
    """The one way to be asked for a stop that every system has; and it comes too if the asker dies."""
    sys.stdin.read()
    context.request_cancel()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
