"""The page and the command line import these modules at start: they must not pull in the heavy libraries."""

import subprocess
import sys

LIGHT = ("voices", "clips", "options", "manifest", "importing", "verdict", "prepare")
HEAVY = ("torch", "av", "scipy", "soxr", "pyloudnorm", "onnxruntime", "librosa", "numpy")


def test_imports_stay_light() -> None:
    code = f"import sys; {'; '.join(f'import core.dataset.{name}' for name in LIGHT)}; "
    code += f"print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
