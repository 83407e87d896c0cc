#!/usr/bin/env bash
# Build a CPU environment once; later calls only compare stamps. Safe to call from anywhere and concurrently.
#
#   [PYTHON=/path/to/python3.11] [TORCH_CPU_INDEX=URL] scripts/setup_env.sh
#       .venv, for whatever runs on a CPU (quickstart.sh, test.sh and others call this): about 2 minutes and 3 GB
#   [PYTHON=/path/to/python3.12] scripts/setup_env.sh official
#       .venv-official, for test.sh --official: the GPU lock with vLLM's CPU build; about 7 minutes and 7 GB
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { echo "setup_env: $*" >&2; }
die() { say "$@"; exit 1; }

TORCH_CPU_INDEX=${TORCH_CPU_INDEX:-https://download.pytorch.org/whl/cpu}
GPU_LOCK=scripts/locks/gpu-py312.txt
case $* in
  "") VENV=.venv LOCK=scripts/locks/cpu-py311.txt LOCK_PYTHON=3.11 TAKES="2 minutes" ;;
  official) VENV=.venv-official LOCK=scripts/locks/official-cpu-py312.txt LOCK_PYTHON=3.12 TAKES="7 minutes" ;;
  *) die "$* is not an environment: give none for .venv, or official for .venv-official" ;;
esac
LOG=$VENV/setup.log

# The packages to install: those of the lock, and of the GPU lock for the official pair.
packages() {
  local without
  cat "$LOCK"
  [[ $VENV == .venv-official ]] || return 0
  without=$(sed -n 's/^# without: //p' "$LOCK" | tr -s ' \n' '|')
  grep -vE "^(${without%|})==" "$GPU_LOCK"
}

# The folder is part of the stamp because a virtual environment cannot be moved.
packages_stamp() { { pwd -P; packages; } | sha256sum; }
project_stamp() { sha256sum < pyproject.toml; }
is_current() { [[ -x $VENV/bin/python && -f $VENV/$1.stamp && $(< "$VENV/$1.stamp") == "$("$1_stamp")" ]]; }
set_stamp() { "$1_stamp" > "$VENV/$1.stamp"; }

is_lock_python() {
  "$1" -Ic "import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (${LOCK_PYTHON/./, }))" > /dev/null 2>&1
}

find_python() {
  local pyenv=${PYENV_ROOT:-${HOME:-/root}/.pyenv} candidate
  local candidates=("python$LOCK_PYTHON" "$pyenv/versions/$LOCK_PYTHON".*/bin/python python3)
  [[ -z ${PYTHON:-} ]] || candidates=("$PYTHON")
  for candidate in "${candidates[@]}"; do
    if is_lock_python "$candidate"; then echo "$candidate"; return; fi
  done
  die "no usable Python $LOCK_PYTHON (tried ${candidates[*]}): install one, or set PYTHON=/path/to/python$LOCK_PYTHON"
}

# -I: a PYTHONPATH or user site of the caller must not satisfy a requirement. The log keeps pip's output.
# Without build isolation: source packages are built by the lock's setuptools, not by one that pip picks.
pip_install() {
  "$VENV/bin/python" -I -m pip --quiet --disable-pip-version-check install --no-deps --no-build-isolation \
    --progress-bar off "$@" >> "$LOG" 2>&1
}

# install_locked PACKAGE [PIP OPTION...]: at the version of the lock, or not at all.
install_locked() { pip_install --require-hashes "${@:2}" -r <(packages | grep "^$1=="); }

fail_with_log() {
  grep -v 'is ignored: it is' "$LOG" | tail -n 5 >&2 || true
  die "$* failed: see $LOG"
}

# The lock's torch line names the CPU build, so no index can slip in the CUDA build of the same version.
install_cpu_torch() {
  say "installing $(grep -o '^torch==[^ ]*' "$LOCK")"
  install_locked torch || install_locked torch --index-url "$TORCH_CPU_INDEX" || fail_with_log "installing torch"
}

install_packages() {
  local python
  python=$(find_python)
  say "building $VENV with $python (about $TAKES)"
  rm -rf "$VENV"
  mkdir "$VENV"
  : > "$LOG"
  "$python" -m venv "$VENV" >> "$LOG" 2>&1 || fail_with_log "python -m venv"
  if grep -q '^torch==.*+cpu ' "$LOCK"; then install_cpu_torch; fi
  say "installing $(packages | grep -c '==') locked packages"
  install_locked setuptools || fail_with_log "installing setuptools"
  pip_install --require-hashes -r <(packages) || fail_with_log "installing $LOCK"
  set_stamp packages
}

install_project() {
  say "installing fail2fix into $VENV"
  pip_install -e . || fail_with_log "installing fail2fix"
  set_stamp project
}

[[ $(uname -sm) == "Linux x86_64" ]] || die "the locks cover Linux x86_64 only, this is $(uname -sm)"
if is_current packages && is_current project; then exit 0; fi

exec 9< "$LOCK"
flock 9
# Whoever held the lock may have finished the work.
if ! is_current packages; then
  [[ ! -e $VENV || -f $LOG ]] || die "$PWD/$VENV exists and is not from this script: move it away"
  install_packages
fi
if ! is_current project; then install_project; fi
say "$VENV is ready"
