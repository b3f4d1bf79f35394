"""Timbre Studio's one entry: `python app.py [serve|prep|train|convert|models|voices|jobs|doctor|demo] …`."""

from cli.main import main

# Workers import this module's name on some systems; only the person's own start runs it.
if __name__ == "__main__":
    raise SystemExit(main())
