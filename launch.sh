#!/usr/bin/env bash
# Opens Timbre Studio; the first start installs it. `./launch.sh test` runs the tests, `./launch.sh COMMAND` a command.
# Finds a Python >= 3.11 and hands over to cli/bootstrap.py, which launch.bat shares.
set -eu
here="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)"

usable() { # runs, is new enough, can make virtual environments (Debian splits that off)
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

for python in "${TIMBRE_LAUNCH_PYTHON:-}" python3 python python3.13 python3.12 python3.11 python3.14; do
    if [ -n "$python" ] && command -v -- "$python" >/dev/null 2>&1 && usable "$python"; then
        exec "$python" -X utf8 "$here/cli/bootstrap.py" "$@"
    fi
done

echo "Timbre Studio needs Python 3.11 or newer with its venv module, and none was found." >&2
case "$(uname -s)" in
    Darwin) echo "Install it with Homebrew (brew install python@3.12) or from python.org, then start again." >&2 ;;
    *) echo "On Debian or Ubuntu: sudo apt install python3 python3-venv; on Fedora: sudo dnf install python3. Then start again." >&2 ;;
esac
exit 1
