#!/usr/bin/env bash
# Turn a training checkpoint into a Hugging Face model folder.
#
#   scripts/export.sh CHECKPOINT OUT      CHECKPOINT: .../global_step_N, or the `actor` folder in it
#
# Runs in the quickstart's environment if there is one; else in yours, with PYTHON=/path/to/python if need be.
set -euo pipefail

VENV_PYTHON=$(dirname "${BASH_SOURCE[0]}")/../.venv/bin/python
if [[ -z ${PYTHON:-} ]]; then PYTHON=python; [[ ! -x $VENV_PYTHON ]] || PYTHON=$VENV_PYTHON; fi

die() { echo "export: $*" >&2; exit 1; }

(($# == 2)) || die "usage: scripts/export.sh CHECKPOINT OUT"
CHECKPOINT=${1%/}
OUT=${2%/}

[[ -d $CHECKPOINT ]] || die "$CHECKPOINT: no such folder: give .../global_step_N"
ACTOR=$CHECKPOINT
[[ ! -d $CHECKPOINT/actor ]] || ACTOR=$CHECKPOINT/actor
compgen -G "$ACTOR/model_world_size_*_rank_*.pt" > /dev/null ||
  die "$ACTOR: no model_world_size_*_rank_*.pt in it: give .../global_step_N of a run that saved its model"
[[ -f $ACTOR/huggingface/config.json ]] || die "$ACTOR: no huggingface/config.json in it: the checkpoint is incomplete"
[[ ! -e $OUT || -d $OUT && -z $(ls -A "$OUT") ]] || die "$OUT: exists and is not empty: choose another folder or remove it"

"$PYTHON" -m verl.model_merger merge --backend fsdp --local_dir "$ACTOR" --target_dir "$OUT"
echo "export: $OUT is ready"
