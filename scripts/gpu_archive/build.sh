#!/usr/bin/env bash
# Make .gpu, the folder that a GPU machine without network gets beside the repository: the packed packages, a small model
# with its data, a tokenizer and the commit. Together with the repository it must stay below 60 MiB.
#
#   [PYTHON=.venv/bin/python] scripts/gpu_archive/build.sh [--fast]      --fast compresses less: to try it out
#
# Packs again only if the lock or the sources of pack.py differ from those that .gpu was made from. .gpu-build keeps the wheels.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."

PYTHON=${PYTHON:-.venv/bin/python}
LOCK=scripts/locks/gpu-py312.txt
SMOLLM2=.gpu-build/smollm2
export VERL_PLATFORM=cpu PYTHONPATH=$PWD:$PWD/scripts

die() { echo "gpu_archive: $*" >&2; exit 1; }
site_stamp() { { echo "$*"; cat "$LOCK" "$here"/{packages,contents,fat_binary,slim,wheels,pack}.py "$here"/lists/*; } | sha256sum; }
is_current() { [[ -f .gpu/site.tar.xz && -f .gpu-build/stamp && $(< .gpu-build/stamp) == "$(site_stamp "$@")" ]]; }

command -v "$PYTHON" > /dev/null || die "$PYTHON is missing: run scripts/setup_env.sh, or set PYTHON"
command -v strip > /dev/null || die "strip is missing: install binutils"
mkdir -p .gpu/words .gpu-build

if ! is_current "$@"; then
  "$PYTHON" -m gpu_archive.pack .gpu --lock "$LOCK" --build .gpu-build "$@"
  site_stamp "$@" > .gpu-build/stamp
fi
[[ -f .gpu/tiny/model/made.json ]] || "$PYTHON" scripts/gpu/make_model.py .gpu/tiny
"$PYTHON" -m fail2fix.data.tasks.smollm2 "$SMOLLM2"
cp "$SMOLLM2"/{tokenizer.json,tokenizer_config.json,chat_template.jinja,config.json} .gpu/words/
git describe --always --abbrev=40 --dirty > .gpu/commit
"$PYTHON" -m gpu_archive.size . .gpu
