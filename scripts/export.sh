#!/usr/bin/env bash
# Turn a training checkpoint into a Hugging Face model folder with a model card; LoRA adapters are merged.
#
#   scripts/export.sh CHECKPOINT OUT      CHECKPOINT: .../global_step_N, or the `actor` folder in it
#   scripts/export.sh --help              its options
#
# Runs in the quickstart's environment if there is one; else in yours, with PYTHON=/path/to/python if need be.
set -euo pipefail

ROOT=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if [[ -z ${PYTHON:-} ]]; then PYTHON=python; [[ ! -x $ROOT/.venv/bin/python ]] || PYTHON=$ROOT/.venv/bin/python; fi
PYTHONPATH=$ROOT${PYTHONPATH:+:$PYTHONPATH} exec "$PYTHON" -m fail2fix.export "$@"
