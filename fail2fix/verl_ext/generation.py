"""From requests to a stream: ask the engines, read the answers, charge the ledger (METHOD.md, items 1 and 3)."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from verl import DataProto
from verl.utils.dataset.rl_dataset import collate_fn

from fail2fix.method.ledger import Cost
from fail2fix.method.rollouts import BASE, CORRECTION
from fail2fix.verl_ext.port import TrainerPort
from fail2fix.verl_ext.replays import Replays, correction_requests
from fail2fix.verl_ext.requests import GROUP, Requests, fill_extra_info
from fail2fix.verl_ext.step import Step
from fail2fix.verl_ext.stream import Reading, Stream

# Corrections' requests are numbered from here, whichever stream is asked first.
CORRECTION_REQUESTS = 1 << 30


@dataclass(frozen=True)
class Answers:
    """Verified responses, one a request; ``seconds``: wall-clock time of generation and verification."""

    requests: Requests
    output: DataProto
    seconds: float


class Generation:
    """Asks the engines for rollouts.

    Args:
        policy: whose engines answer.
        reading: how rows are read.
        rollouts: G, rollouts a problem.
        correction_rollouts: G', rollouts an attempt.
    """

    def __init__(self, policy: TrainerPort, reading: Reading, rollouts: int, correction_rollouts: int) -> None:
        self._policy, self._reading = policy, reading
        self._group_size = {BASE: rollouts, CORRECTION: correction_rollouts}

    def solve_problems(self, prompts: DataProto, step: Step, first: int = 0, purpose: str = BASE) -> Stream:
        """G verified rollouts of each problem.

        Args:
            prompts: rows of the data set; they keep what is not requested.
            first: number of the step's first request here; no two requests of a step may have the same.
            purpose: names the rollouts to the seeds.
        """
        rollouts = self._group_size[BASE]
        step.accounts[BASE].enter(prompts=len(prompts))
        numbers = range(first // rollouts, first // rollouts + len(prompts))
        uids = np.array([f"{step.number}-{number}" for number in numbers], dtype=object)
        prompts.non_tensor_batch["uid"] = uids
        fill_extra_info(prompts)
        request = self._policy.request_half(prompts)
        request.non_tensor_batch[GROUP] = uids
        requests = Requests(prompts, request).repeat(rollouts)
        return self.enter(BASE, self._ask(requests, first, purpose, step), step)

    def ask_corrections(self, replays: Replays, step: Step) -> Answers:
        """G' verified corrections of each attempt, not yet entered."""
        requests = correction_requests(replays.replays).repeat(self._group_size[CORRECTION])
        with step.timer("gen_correction"):
            return self._ask(requests, CORRECTION_REQUESTS, CORRECTION, step)

    def ask_held_out(self, requests: Requests, group_size: int, step: int, do_sample: bool, first: int) -> Stream:
        """One verified response a row under validation's sampling; neither step nor ledger sees it."""
        requests.request.meta_info |= {"validate": True, "do_sample": do_sample}
        output = self._policy.generate(requests.asked(first, step, "held_out"))
        output.meta_info.pop("timing")
        return Stream.of(CORRECTION, requests.answered(output), requests, group_size, self._reading)

    def enter(self, name: str, answers: Answers, step: Step) -> Stream:
        """Read answers as a stream, and enter it into the step's account and the ledger."""
        requests, output = answers.requests, answers.output
        prefix = "agent_loop" if name == BASE else f"agent_loop_{name}"
        timing = output.meta_info.pop("timing")
        step.timing |= {part.replace("agent_loop", prefix, 1): seconds for part, seconds in timing.items()}
        stream = Stream.of(name, requests.answered(output), requests, self._group_size[name], self._reading)
        read, cached = stream.rollouts, stream.cached_tokens
        step.accounts[name].enter(asked=len(requests), generated=len(output), verified=read.verified)
        step.ledger.spend(name, Cost.of(read, answers.seconds), read.problems if name == BASE else ())
        if cached is not None:
            step.metrics[f"perf/prefix_cache_hit/{name}"] = cached.sum() / read.prompt_tokens.sum()
        return stream

    def _ask(self, requests: Requests, first: int, purpose: str, step: Step) -> Answers:
        started = time.perf_counter()
        output = self._policy.generate(requests.asked(first, step.number, f"{purpose}:{first}"))
        return Answers(requests, output, time.perf_counter() - started)


def drawn_prompts(dataset: Any, problems: int, *purpose: object) -> DataProto:
    """``problems`` different rows of a map-style data set, or all it has, as verl's loader gives them.

    A pure function of the purpose: neither a resumption nor the data loader's state changes what is drawn.
    """
    generator = random.Random(":".join(map(str, purpose)))
    return _loaded(dataset, generator.sample(range(len(dataset)), min(problems, len(dataset))))


def first_prompts(dataset: Any, problems: int | None) -> DataProto:
    """The first ``problems`` rows in order; all of them for None."""
    return _loaded(dataset, range(len(dataset))[:problems])


def _loaded(dataset: Any, index: Iterable[int]) -> DataProto:
    return DataProto.from_single_dict(collate_fn([dataset[i] for i in index]))
