"""`jobs`: what runs, what ran, and stopping it."""

import argparse
import time
from typing import TYPE_CHECKING, Any

from cli.common import add_command, open_studio
from cli.output import duration, table

if TYPE_CHECKING:
    from cli.output import Output


def add(subparsers: Any) -> None:
    """Add the command."""
    parser = add_command(subparsers, "jobs", "List the jobs of the workspace; show, cancel or retry one.")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--show", type=int, metavar="ID", help="everything about one job")
    which.add_argument("--cancel", type=int, metavar="ID", help="ask a job to stop; it saves first")
    which.add_argument("--retry", type=int, metavar="ID", help="queue the same work again; an open studio runs it")
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="how many to list (default: 20)")


def run(options: argparse.Namespace, out: "Output") -> dict[str, Any]:
    """Act on one job, or list."""
    studio = open_studio(options)
    number = options.show if options.show is not None else options.cancel
    if options.retry is not None:
        job = studio.retry(options.retry)
        out.line(f"Queued as job {job.id}.")
        return {"job": job.to_dict()}
    if number is not None:
        if options.cancel is not None:
            studio.cancel(number)
            out.note(f"Asked job {number} to stop.")
        job = studio.job(number)
        for key, value in job.to_dict().items():
            if value not in (None, "", {}):
                out.line(f"{key}: {value}")
        return {"job": job.to_dict()}
    jobs = studio.jobs(options.limit)
    rows = [
        [
            str(job.id), job.kind, job.voice or "", job.state, f"{job.progress:.0%}",
            time.strftime("%Y-%m-%d %H:%M", time.localtime(job.created_at)),
            duration(left) if (left := job.eta_now_s()) is not None else "",
            job.message,
        ]
        for job in jobs
    ]  # fmt: skip
    heads = ["id", "kind", "voice", "state", "done", "created", "left", "message"]
    for line in table(rows, heads) if rows else ["No jobs yet."]:
        out.line(line)
    return {"jobs": [job.to_dict() for job in jobs]}
