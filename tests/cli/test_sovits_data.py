"""`sovits-data`: a voice's clips to so-vits-svc's layout and back, on what ships with the studio."""

import json
from pathlib import Path

from core.settings import load_settings
from tests.cli.conftest import Command
from tests.training.material import make_voice


def test_there_and_back(command: Command, workspace: Path, tmp_path: Path) -> None:
    make_voice(load_settings({"workspace": workspace}), "ann", n_clips=4, seconds=0.4)
    out = tmp_path / "so-vits"
    told, _ = command("sovits-data", "export", "ann", str(out), "--encoder", "builtin", "--pitch", "dio")
    assert "4 clips of ann" in told
    assert "exists already" in command("sovits-data", "export", "ann", str(out), "--encoder", "builtin", code=1)[1]
    command("voices", "--rename", "ann", "before")
    back = json.loads(command("sovits-data", "import", str(out), "--pitch", "dio", "--json")[0])
    assert back["voices"] == [{"voice": "ann", "clips": 4, "features": 4, "skipped": []}]
