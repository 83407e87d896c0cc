#!/usr/bin/env bash
# CIPO on GSM8K with Qwen2.5-0.5B-Instruct, on one GPU of 24 GB or more.
#
#   pip install --no-deps -r scripts/locks/gpu-py312.txt && pip install --no-deps -e .      (Python 3.12, once)
#   pip install flash-attn==2.8.3 --no-build-isolation
#   scripts/train_gsm8k_1gpu.sh [--dry-run] [any Hydra override]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PYTHON=${PYTHON:-python}
MODEL=${MODEL:-Qwen/Qwen2.5-0.5B-Instruct}
DATA=${DATA:-$PWD/data/gsm8k}
GPUS=${GPUS:-1}
B=${B:-64}                            # prompts a step
G=${G:-8}                             # answers to each prompt
K=${K:-64}                            # correction prompts a step
G_CORRECTION=${G_CORRECTION:-8}       # corrections of each
STEPS=${STEPS:-200}
LR=${LR:-1e-6}
PROMPT_TOKENS=${PROMPT_TOKENS:-512}
RESPONSE_TOKENS=${RESPONSE_TOKENS:-1024}
CORRECTION_PROMPT_TOKENS=${CORRECTION_PROMPT_TOKENS:-2048}      # problem + attempt + fixed words
TOKENS_PER_GPU=${TOKENS_PER_GPU:-16384}
EXPERIMENT=${EXPERIMENT:-gsm8k-qwen2.5-0.5b-cipo}

DRY_RUN=
for argument in "$@"; do [[ $argument != --dry-run ]] || DRY_RUN=1; done

if [[ ! $DRY_RUN && ! -f $DATA/train.parquet ]]; then "$PYTHON" -m fail2fix.data.prepare gsm8k "$DATA"; fi

DATA_ARGS=(
  data.train_files="$DATA/train.parquet"
  data.val_files="$DATA/test.parquet"
  data.train_batch_size="$B"
  data.max_prompt_length="$PROMPT_TOKENS"
  data.max_response_length="$RESPONSE_TOKENS"
)
METHOD_ARGS=(
  actor_rollout_ref.rollout.n="$G"
  fail2fix.correction.attempts="$K"
  fail2fix.correction.rollouts="$G_CORRECTION"
  fail2fix.correction.max_prompt_length="$CORRECTION_PROMPT_TOKENS"
)
ACTOR_ARGS=(
  actor_rollout_ref.model.path="$MODEL"
  actor_rollout_ref.actor.optim.lr="$LR"
  actor_rollout_ref.actor.ppo_mini_batch_size="$B"
  actor_rollout_ref.actor.use_dynamic_bsz=true
  actor_rollout_ref.actor.ppo_max_token_len_per_gpu="$TOKENS_PER_GPU"
  actor_rollout_ref.rollout.gpu_memory_utilization=0.5
)
TRAINER_ARGS=(
  trainer.n_gpus_per_node="$GPUS"
  trainer.nnodes=1
  trainer.total_training_steps="$STEPS"
  trainer.test_freq=20
  trainer.save_freq=50
  trainer.project_name=fail2fix
  trainer.experiment_name="$EXPERIMENT"
  'trainer.logger=[console,file,wandb]'
)

"$PYTHON" -m fail2fix.train --config-name cipo \
  "${DATA_ARGS[@]}" "${METHOD_ARGS[@]}" "${ACTOR_ARGS[@]}" "${TRAINER_ARGS[@]}" "$@"
