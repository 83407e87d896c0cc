#!/usr/bin/env bash
# Every check of this repository: format, lint, types, tests. Continuous integration runs exactly this.
#
#   scripts/test.sh [--all] [any pytest argument]      --all adds the slow tests
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

MARKS="not slow"
PYTEST_ARGS=()
for argument in "$@"; do
  if [[ $argument == --all ]]; then MARKS=""; else PYTEST_ARGS+=("$argument"); fi
done

scripts/setup_env.sh
export PATH=$PWD/.venv/bin:$PATH
export VERL_PLATFORM=cpu

# Programs are judged in bubblewrap sandboxes only: without it their tests are skipped, as where nobody may install it.
if ! command -v bwrap > /dev/null; then
  if [[ $(id -u) == 0 ]] && command -v apt-get > /dev/null; then
    { apt-get update && apt-get install -y --no-install-recommends bubblewrap python3; } > /dev/null 2>&1 || true
  fi
  command -v bwrap > /dev/null || echo "test.sh: tests of programs are skipped: apt-get install bubblewrap python3" >&2
fi

ruff check .
ruff format --check .
mypy
pytest -m "$MARKS" "${PYTEST_ARGS[@]}"
