#!/usr/bin/env bash
# Every check of this repository: format, lint, types, tests. Continuous integration runs exactly this.
#
#   scripts/test.sh [--fast | --e2e | --types | --all] [--official] [any pytest argument]
#
#   (none)      lint, types, the tests that start no engine, in parallel, then those that do, one after another
#   --fast      lint and the tests that start no engine and are not marked heavy, within two minutes on two cores
#   --e2e       the tests that start an engine or a worker of verl
#   --types     types alone
#   --all       everything, the slow tests too
#   --official  on the versions that verl is published with (.venv-official): of the tests that start an engine, those
#               of tests/gradient and the RUNS below, unless --e2e or --all asks for the rest
#
# Pytest arguments (tests/test_configs.py -k cipo) select from the same tests; they then run in one process.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Every seam once: online and lagged steps, validation, the reference policy, checkpoints and resumption, two ranks and
# two engines, stock verl with our reward manager, and an export that vLLM loads.
RUNS=(
  tests/e2e/test_training.py
  tests/e2e/test_shipped_configs.py::test_lagged_replays_the_step_before
  tests/e2e/test_variants.py::test_two_ranks_and_two_replicas_with_the_turn_form
  "tests/e2e/test_variants.py::test_stock_verl_trains_with_our_reward_manager_by_configuration[RayPPOTrainer]"
  tests/e2e/test_export.py::test_an_exported_checkpoint_repeats_the_validation_in_vllm
)

TIER=default
ENVIRONMENT=()
VENV=.venv
PYTEST_ARGS=()
for argument in "$@"; do
  case $argument in
    -h | --help) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' scripts/test.sh; exit 0 ;;
    --fast | --e2e | --types | --all) TIER=${argument#--} ;;
    --official) ENVIRONMENT=(official) VENV=.venv-official ;;
    *) PYTEST_ARGS+=("$argument") ;;
  esac
done

scripts/setup_env.sh "${ENVIRONMENT[@]}"
export PATH=$PWD/$VENV/bin:$PATH
export VERL_PLATFORM=cpu
# Every process of a training would compile the package again.
unset PYTHONDONTWRITEBYTECODE

# Programs are judged in bubblewrap sandboxes only: without it their tests are skipped, as where nobody may install it.
if [[ $TIER != types ]] && ! command -v bwrap > /dev/null; then
  if [[ $(id -u) == 0 ]] && command -v apt-get > /dev/null; then
    { apt-get update && apt-get install -y --no-install-recommends bubblewrap python3; } > /dev/null 2>&1 || true
  fi
  command -v bwrap > /dev/null || echo "test.sh: tests of programs are skipped: apt-get install bubblewrap python3" >&2
fi

# --all tries every property on more examples (tests/conftest.py).
EXAMPLES=()
[[ $TIER != all ]] || EXAMPLES=(--hypothesis-profile thorough)

lint() { ruff check . && ruff format --check .; }
left_out() {
  case $TIER in
    all) ;;
    fast) echo " and not slow and not heavy" ;;
    *) echo " and not slow" ;;
  esac
}
# One more than cores, as many tests wait. A worker imports torch and verl, which takes seconds and 0.7 GB: more than
# eight do not pay.
WORKERS=$(($(nproc) < 8 ? $(nproc) + 1 : 8))
without_engines() { pytest -n "$WORKERS" --dist worksteal "${EXAMPLES[@]}" -m "not e2e$(left_out)"; }
# Two trainings at once on a machine would refuse each other: one process.
with_engines() {
  if [[ $VENV == .venv-official && $TIER == default ]]; then
    pytest tests/gradient "${RUNS[@]}"
  else
    pytest -m "e2e$(left_out)"
  fi
}
selected() {
  case $TIER in
    fast) pytest -m "not e2e$(left_out)" "${PYTEST_ARGS[@]}" ;;
    e2e) pytest -m "e2e and not slow" "${PYTEST_ARGS[@]}" ;;
    all) pytest "${EXAMPLES[@]}" "${PYTEST_ARGS[@]}" ;;
    *) pytest -m "not slow" "${PYTEST_ARGS[@]}" ;;
  esac
}

[[ $TIER =~ ^(types|e2e)$ ]] || lint
[[ $TIER =~ ^(fast|e2e)$ ]] || mypy
[[ $TIER != types ]] || exit 0
if [[ ${#PYTEST_ARGS[@]} != 0 ]]; then
  selected
else
  [[ $TIER == e2e ]] || without_engines
  [[ $TIER == fast ]] || with_engines
fi
