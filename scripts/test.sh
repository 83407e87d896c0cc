#!/usr/bin/env bash
# Every check of this repository: format, lint, types, tests. Continuous integration runs exactly this.
#
#   scripts/test.sh [--official] [--all] [any pytest argument]
#
# --all adds the slow tests. --official runs on the versions that verl is published with (.venv-official): the tests
# that start no engine, the gradients of verl's own worker and the RUNS below, or what --all and the arguments ask for.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Every seam once: online and lagged steps, validation, the reference policy, checkpoints and resumption,
# two ranks and two engines, stock verl with our reward manager, and an export that vLLM loads.
RUNS=(
  tests/e2e/test_training.py
  tests/e2e/test_orders.py
  tests/e2e/test_shipped_configs.py::test_lagged_replays_the_step_before
  tests/e2e/test_variants.py::test_two_ranks_and_two_replicas_with_the_turn_form
  "tests/e2e/test_variants.py::test_stock_verl_trains_with_our_reward_manager_by_configuration[RayPPOTrainer]"
  tests/e2e/test_export.py::test_an_exported_checkpoint_repeats_the_validation_in_vllm
)

ENVIRONMENT=()
VENV=.venv
MARKS="not slow"
PYTEST_ARGS=()
for argument in "$@"; do
  case $argument in
    --all) MARKS="" ;;
    --official) ENVIRONMENT=(official) VENV=.venv-official ;;
    *) PYTEST_ARGS+=("$argument") ;;
  esac
done

scripts/setup_env.sh "${ENVIRONMENT[@]}"
export PATH=$PWD/$VENV/bin:$PATH
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
if [[ $VENV == .venv-official && $MARKS && ${#PYTEST_ARGS[@]} == 0 ]]; then
  pytest -m "not slow and not e2e"
  pytest tests/gradient "${RUNS[@]}"
else
  pytest -m "$MARKS" "${PYTEST_ARGS[@]}"
fi
