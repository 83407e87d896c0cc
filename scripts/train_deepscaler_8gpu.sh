#!/usr/bin/env bash
# CIPO on DeepScaleR with Qwen3-4B (thinking off), on one node of eight 80 GB GPUs.
#
#   pip install --no-deps -r scripts/locks/gpu-py312.txt && pip install --no-deps -e .      (Python 3.12, once)
#   pip install flash-attn==2.8.3 --no-build-isolation
#   scripts/train_deepscaler_8gpu.sh [--dry-run] [any Hydra override]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PYTHON=${PYTHON:-python}
MODEL=${MODEL:-Qwen/Qwen3-4B}
DATA=${DATA:-$PWD/data/deepscaler}
GPUS=${GPUS:-8}
NODES=${NODES:-1}
B=${B:-128}                           # prompts a step
G=${G:-8}                             # answers to each prompt
K=${K:-128}                           # correction prompts a step
G_CORRECTION=${G_CORRECTION:-8}       # corrections of each
STEPS=${STEPS:-500}
LR=${LR:-1e-6}
PROMPT_TOKENS=${PROMPT_TOKENS:-1024}
RESPONSE_TOKENS=${RESPONSE_TOKENS:-4096}
CORRECTION_PROMPT_TOKENS=${CORRECTION_PROMPT_TOKENS:-5632}      # problem + attempt + fixed words
TOKENS_PER_GPU=${TOKENS_PER_GPU:-24576}                         # two of the longest sequences
EXPERIMENT=${EXPERIMENT:-deepscaler-qwen3-4b-cipo}

DRY_RUN=
for argument in "$@"; do [[ $argument != --dry-run ]] || DRY_RUN=1; done

if [[ ! $DRY_RUN && ! -f $DATA/train.parquet ]]; then "$PYTHON" -m fail2fix.data.prepare deepscaler "$DATA"; fi

DATA_ARGS=(
  data.train_files="$DATA/train.parquet"
  data.val_files="$DATA/test.parquet"
  data.train_batch_size="$B"
  data.max_prompt_length="$PROMPT_TOKENS"
  data.max_response_length="$RESPONSE_TOKENS"
  data.filter_overlong_prompts=true                     # the longest problem has 5,154 characters
  +data.apply_chat_template_kwargs.enable_thinking=false
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
  actor_rollout_ref.rollout.gpu_memory_utilization=0.7
)
TRAINER_ARGS=(
  trainer.n_gpus_per_node="$GPUS"
  trainer.nnodes="$NODES"
  trainer.total_training_steps="$STEPS"
  trainer.test_freq=20
  trainer.save_freq=50
  trainer.project_name=fail2fix
  trainer.experiment_name="$EXPERIMENT"
  'trainer.logger=[console,file,wandb]'
)

"$PYTHON" -m fail2fix.train --config-name cipo \
  "${DATA_ARGS[@]}" "${METHOD_ARGS[@]}" "${ACTOR_ARGS[@]}" "${TRAINER_ARGS[@]}" "$@"
