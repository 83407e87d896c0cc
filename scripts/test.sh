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

ruff check .
ruff format --check .
mypy
pytest -m "$MARKS" "${PYTEST_ARGS[@]}"
