"""Write notebooks/timbre_studio_colab.ipynb. The notebook is made, never edited: a test makes it again and compares.

python -m tools.make_notebook           write it
python -m tools.make_notebook --check   exit 1 where the file is out of date
"""

import argparse
import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "notebooks" / "timbre_studio_colab.ipynb"
REPOSITORY = "timbre-studio/timbre-studio"
"""OWNER/NAME on GitHub. The one place to change where the repository is published under another address."""
COLAB_LINK = f"https://colab.research.google.com/github/{REPOSITORY}/blob/main/notebooks/{NOTEBOOK.name}"

CELLS: tuple[tuple[str, str], ...] = (
    (
        "markdown",
        """# Timbre Studio on Colab

Recordings in, a trained voice out. Choose a GPU first: *Runtime → Change runtime type*. Run the cells from top to
bottom; the last one opens the studio.

Use only voices whose owner has agreed to it, or your own. Laws on likeness, privacy and copyright apply to what you
make here.""",
    ),
    (
        "code",
        """#@title 1. Where to keep your work { display-mode: "form" }
keep_on_drive = True  #@param {type:"boolean"}
drive_folder = "TimbreStudio"  #@param {type:"string"}

from pathlib import Path

WORKSPACE = Path("/content/workspace")
COPY = None
if keep_on_drive:
    from google.colab import drive

    drive.mount("/content/drive")
    COPY = Path("/content/drive/MyDrive") / drive_folder
    COPY.mkdir(parents=True, exist_ok=True)
print("workspace:", WORKSPACE, "- copied to", COPY or "nowhere: it ends with this machine")""",
    ),
    (
        "code",
        f"""#@title 2. Set up (five to ten minutes the first time) {{ display-mode: "form" }}
repository = "https://github.com/{REPOSITORY}"  #@param {{type:"string"}}

import subprocess

STUDIO = Path("/content/timbre-studio")
if not STUDIO.is_dir():
    subprocess.run(["git", "clone", "--depth", "1", repository, str(STUDIO)], check=True)
if subprocess.run(["python3", "-c", "import ensurepip"], capture_output=True).returncode:
    subprocess.run(["apt-get", "-qq", "install", "-y", "python3-venv"], check=True)
if COPY is not None:
    # SQLite is not safe on a mounted Drive, so the studio works on the local disk and a copy is kept.
    subprocess.run(["python3", "-m", "tools.mirror", str(COPY), str(WORKSPACE)], cwd=STUDIO, check=True)
subprocess.run(["./launch.sh", "doctor", "--workspace", str(WORKSPACE)], cwd=STUDIO)""",
    ),
    (
        "code",
        """#@title 3. Open the studio { display-mode: "form" }
port = 7860  #@param {type:"integer"}
as_window = False  #@param {type:"boolean"}

import time
import urllib.request

from google.colab import output

server = subprocess.Popen(
    [
        "./launch.sh", "serve", "--no-browser", "--port", str(port), "--workspace", str(WORKSPACE),
        # Colab shows the page through a proxy of its own.
        "--allow-host", "*.googleusercontent.com", "--allow-host", "*.colab.dev",
    ],
    cwd=STUDIO,
)
if COPY is not None:
    keeper = subprocess.Popen(
        ["python3", "-m", "tools.mirror", str(WORKSPACE), str(COPY), "--every", "120"],
        cwd=STUDIO, stderr=subprocess.DEVNULL,
    )
for _ in range(120):
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5)
        break
    except OSError:
        if server.poll() is not None:
            raise SystemExit("The studio did not start; its words are above.") from None
        time.sleep(1)
if as_window:
    output.serve_kernel_port_as_window(port)
else:
    output.serve_kernel_port_as_iframe(port, height=860)""",
    ),
    (
        "code",
        """#@title 4. Before you close: copy everything to Drive now { display-mode: "form" }
if COPY is not None:
    subprocess.run(["python3", "-m", "tools.mirror", str(WORKSPACE), str(COPY)], cwd=STUDIO, check=True)""",
    ),
)


def render() -> str:
    """The notebook as the text of its file."""
    cells: list[dict[str, Any]] = []
    for number, (kind, text) in enumerate(CELLS):
        cell: dict[str, Any] = {"cell_type": kind, "id": f"cell-{number}", "metadata": {}}
        if kind == "code":
            cell |= {"execution_count": None, "outputs": []}
            cell["metadata"] = {"cellView": "form"}
        cell["source"] = text.splitlines(keepends=True)
        cells.append(cell)
    notebook = {
        "cells": cells,
        "metadata": {
            "accelerator": "GPU",
            "colab": {"name": NOTEBOOK.name, "provenance": []},
            "kernelspec": {"display_name": "Python 3", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"


def main() -> int:
    """Write or check the notebook. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where the file is out of date")
    text = render()
    if parser.parse_args().check:
        return 0 if NOTEBOOK.is_file() and NOTEBOOK.read_text("utf-8") == text else 1
    NOTEBOOK.parent.mkdir(parents=True, exist_ok=True)
    NOTEBOOK.write_text(text, "utf-8")
    print(f"written: {NOTEBOOK}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
