"""Front door 3: the commands behind app.py. One file a command: `add(subparsers)` and `run(options, out) -> dict`."""
