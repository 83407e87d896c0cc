"""verl's own metrics of a step, beside ours."""

from __future__ import annotations

from verl.trainer.ppo.metric_utils import (
    compute_data_metrics,
    compute_throughout_metrics,
    compute_timing_metrics,
    compute_variance_proxy_metrics,
)

from fail2fix.verl_ext.joint_batch import JointBatch
from fail2fix.verl_ext.step import Step

# What verl's compute_data_metrics reads.
DATA_METRICS_TENSORS = (
    "prompts", "responses", "attention_mask", "response_mask",
    "token_level_scores", "token_level_rewards", "advantages", "returns",
)  # fmt: skip
DATA_METRICS_COLUMNS = ("__num_turns__", "tool_call_counts")
# The phases that a step's time is divided among.
PHASES = ("gen", "old_log_prob", "ref", "adv", "update_actor", "save_checkpoint", "update_weights")


def data_metrics(joint: JointBatch, step: Step) -> dict[str, float]:
    """verl's metrics of the data, of the base stream alone so that they compare with GRPO's."""
    base = joint.base_rows(DATA_METRICS_TENSORS, DATA_METRICS_COLUMNS)
    metrics = {"training/global_step": step.number, "training/epoch": step.epoch}
    metrics |= compute_data_metrics(batch=base, use_critic=False)
    return metrics | compute_variance_proxy_metrics(joint.rows, step.metrics.get("actor/grad_norm"))


def timing_metrics(joint: JointBatch, step: Step, devices: int) -> dict[str, float]:
    """Seconds, shares of the step's time, and throughput on ``devices`` devices."""
    whole = step.timing["step"]
    metrics = compute_timing_metrics(batch=joint.rows, timing_raw=step.timing)
    metrics |= {f"perf/time_share/{phase}": step.timing[phase] / whole for phase in PHASES if phase in step.timing}
    return metrics | compute_throughout_metrics(joint.rows, step.timing, n_gpus=devices)
