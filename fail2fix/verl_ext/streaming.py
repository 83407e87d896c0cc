"""The streaming schedule: a group's corrections are written while other groups still are (ours; `method.admission`).

``StreamedStep`` decides each group as it ends and asks for the corrections of what it admits; ``Streaming`` keeps, from
step to step, the cutoffs and what late groups have admitted. A batch is in the order of its problems and attempts,
never in that of finishing.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import ray
from verl import DataProto

from fail2fix.method.admission import (
    Cutoffs,
    Wanted,
    admitted,
    first_of_each_problem,
    is_late,
    next_cutoffs,
    still_owed,
)
from fail2fix.method.errors import InputError
from fail2fix.method.prompts import CorrectionPromptBuilder
from fail2fix.method.selection import Attempt, PromptGroup, Selection, distinct_candidates, in_band, wanted_correct
from fail2fix.run.config import Fail2FixConfig
from fail2fix.verl_ext.corrections import Replay, build_replays, correction_source
from fail2fix.verl_ext.rollout import Fail2FixAgentLoopManager, prompt_texts
from fail2fix.verl_ext.stream_file import essentials, read_provenance, read_stream, write_stream
from fail2fix.verl_ext.streams import Source, Stream, concatenated

FILE = "fail2fix_carried.parquet"
# Corrections' requests are numbered from here, whichever stream is asked first.
CORRECTION_REQUESTS = 1 << 30

COUNTS = (
    "carried", "late_groups", "repeated_problems", "filled", "relaxed", "skipped", "shortened", "fell_back_to_block",
    "unknown_thinking",
)  # fmt: skip

Groups = Callable[[Stream], list[PromptGroup]]
# Which replay of a step, in the batch's order: a carried one's number, or problem and sample of the step's own.
Key = tuple[int, ...]
CARRIED, OWN = 0, 1


class Asked:
    """Requests to the engines, a group each, and their answers in the order in which they come."""

    def __init__(self, manager: Fail2FixAgentLoopManager) -> None:
        self._manager = manager
        self._pending: dict[ray.ObjectRef, Any] = {}

    def add(self, key: Any, request: DataProto, samples: Counter[str]) -> None:
        self._pending[self._manager.ask(request, samples)] = key

    def answers(self) -> Iterator[tuple[Any, DataProto]]:
        """Every answer, until nothing is asked any more: no request is left for when the engines sleep."""
        while self._pending:
            (done, *_), _ = ray.wait(list(self._pending), num_returns=1)
            yield self._pending.pop(done), ray.get(done)


@dataclass
class Carried:
    """Attempts that wait for their corrections, each with the rollouts it is one of; those come group by group."""

    attempts: list[tuple[Stream, Attempt]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.attempts)

    def save(self, path: Path) -> None:
        """Write them, if there are any."""
        if not self.attempts:
            return
        pools = list({id(pool): pool for pool, _ in self.attempts}.values())
        place = {id(pool): number for number, pool in enumerate(pools)}
        where = [[place[id(pool)], attempt.sample] for pool, attempt in self.attempts]
        write_stream(path, concatenated([essentials(pool) for pool in pools]), {"attempts": where})

    @classmethod
    def load(cls, path: Path, groups: Groups, saved: int) -> Carried:
        """Read them back.

        Args:
            groups: how a pool's attempts are read.
            saved: how many there were; without any there is no file.

        Raises:
            InputError: there are not as many.
        """
        attempts = []
        if saved and path.exists():
            whole = read_stream(path)
            for place, sample in read_provenance(path)["attempts"]:
                pool = whole.groups_at(np.array([place]))
                (group,) = groups(pool)
                attempts.append((pool, group.attempts[sample]))
        if len(attempts) != saved:
            raise InputError(
                f"{path}: {len(attempts)} attempts wait for their corrections, the checkpoint was saved with {saved}: "
                "restore the file, or resume from another step"
            )
        return cls(attempts)


@dataclass(frozen=True)
class Decided:
    """What a streamed step leaves for the next one; not its answers, which are large and in its streams already.

    Attributes:
        admitted: attempts that its groups have admitted, by whether they are correct; less those, of this step or
            carried, whose prompt did not fit.
        waiting: what the next step corrects.
    """

    admitted: Counter[bool]
    waiting: Carried


class Streaming:
    """What the schedule knows between steps.

    Attributes:
        cutoffs: what the next step's groups are decided by; None before the first step has ended.
        carried: what late groups of the last step have admitted.
    """

    def __init__(self, settings: Fail2FixConfig, builder: CorrectionPromptBuilder, groups: Groups) -> None:
        self.settings, self.builder, self.groups = settings, builder, groups
        self.cutoffs: Cutoffs | None = None
        self.carried = Carried()

    def end_step(self, base: Stream, decided: Decided | None, k: int, rho: float, step: int) -> None:
        """Learn from a step's rollouts how to decide the next one's groups, and carry on what waits for it.

        Not before its update: a step that fails until then leaves what the step before has carried.

        Args:
            decided: by the step's groups; None if it selected serially.
            k, rho: wanted in the next step.
        """
        groups = self.groups(base)
        longest = base.by_group(base.response_tokens).max(axis=1)[[g.attempts[0].group for g in groups]]
        owed = (0, 0)
        if self.cutoffs is not None and decided is not None:
            owed = still_owed(self.cutoffs, decided.admitted)
            self.carried = decided.waiting
        wanted = Wanted(k, rho, self.settings.streaming.patience)
        seed = self.settings.seed
        self.cutoffs = next_cutoffs(groups, longest.tolist(), wanted, self.settings.replay, seed, step, owed)

    def state_dict(self) -> dict[str, Any] | None:
        """The cutoffs, as JSON values."""
        return None if self.cutoffs is None else asdict(self.cutoffs)

    def load_state_dict(self, state: dict[str, Any] | None) -> None:
        self.cutoffs = None if state is None else Cutoffs(**state)


class StreamedStep:
    """One step's generation.

    Args:
        streaming: what the steps before left.
        source: rows of the step's problems, G each.
        rollouts: G.
        step: the step's number.

    Attributes:
        replays: what is corrected in this step, by key.
        late: what late groups have admitted, with the place of its problem.
        waiting: what the next step corrects, once this one has taken its own.
        admitted: see ``Decided``.
        counts: as in ``Selection``, of what this step's groups have admitted, with what streaming adds.
        base_seconds: until the last base rollout was verified.
        tail_seconds: from then until the last correction was.
    """

    def __init__(self, streaming: Streaming, source: Source, rollouts: int, step: int) -> None:
        assert streaming.cutoffs is not None
        self.replays: dict[Key, Replay] = {}
        self.late: list[tuple[int, Stream, Attempt]] = []
        self.waiting = Carried()
        self.admitted: Counter[bool] = Counter()
        self.counts: Counter[str] = Counter(carried=len(streaming.carried))
        self.base_seconds = self.tail_seconds = 0.0
        self._streaming, self._settings, self._cutoffs = streaming, streaming.settings, streaming.cutoffs
        self._source, self._rollouts, self._step = source, rollouts, step
        self._firsts: set[int] = set()
        self._base: dict[int, DataProto] = {}
        self._corrections: dict[Key, DataProto] = {}

    def run(self, manager: Fail2FixAgentLoopManager) -> None:
        """Ask for every problem's rollouts and for the corrections of what was carried, then go on as groups end."""
        started, asked, samples = time.perf_counter(), Asked(manager), Counter[str]()
        prompts = self._source.request.non_tensor_batch["raw_prompt"][:: self._rollouts]
        self._firsts = set(first_of_each_problem(prompt_texts(prompts)))
        for group in range(len(self._source) // self._rollouts):
            rows = self._rows(group)
            request = self._source.rows(rows).asked(rows, self._step, "base:0")
            asked.add(group, request, samples)
        for number, (pool, attempt) in enumerate(self._streaming.carried.attempts):
            self._correct(asked, pool, [attempt], (CARRIED, number))
        for key, answer in asked.answers():
            if isinstance(key, tuple):
                self._corrections[key] = answer
                continue
            self._base[key] = answer
            self.base_seconds = time.perf_counter() - started
            self._decide(asked, key)
        self.tail_seconds = time.perf_counter() - started - self.base_seconds

    def base(self, manager: Fail2FixAgentLoopManager) -> DataProto:
        """The base rollouts' answers, problem by problem."""
        return manager.collected([self._base[group] for group in sorted(self._base)])

    def corrections(self, manager: Fail2FixAgentLoopManager) -> DataProto:
        """The corrections' answers, replay by replay."""
        return manager.collected([self._corrections[key] for key in sorted(self.replays)])

    def take(self, k: int, base: Stream) -> tuple[list[Replay], list[Replay]]:
        """The first ``k`` replays, to train on, and the others, which wait for the next step as late groups' do.

        Those of this step's own problems become replays of ``base``, the step's whole base stream. What waits keeps
        its own group's rollouts alone: the base stream need not wait with it.
        """
        keys = sorted(self.replays)
        late = sorted(self.late, key=lambda entry: (entry[0], entry[2].sample))
        waiting = [(self.replays[key].pool, self.replays[key].attempt) for key in keys[k:]]
        self.waiting = Carried(waiting + [(pool, attempt) for _, pool, attempt in late])
        replays = [self._replay(key, base) for key in keys]
        return replays[:k], replays[k:]

    def _replay(self, key: Key, base: Stream) -> Replay:
        replay = self.replays[key]
        if key[0] == CARRIED:
            return replay
        return replace(replay, pool=base, attempt=replace(replay.attempt, group=key[1]))

    def _rows(self, group: int) -> np.ndarray:
        return np.arange(group * self._rollouts, (group + 1) * self._rollouts)

    def _decide(self, asked: Asked, place: int) -> None:
        """Admit attempts of a group that has ended; ask for their corrections unless the group is late."""
        source = self._source.rows(self._rows(place))
        answer = DataProto(self._base[place].batch, dict(self._base[place].non_tensor_batch))
        pool = Stream(source.answered(answer), self._rollouts, source, self._settings.verifier.correct_threshold)
        late = is_late(int(pool.response_tokens.max()), self._cutoffs)
        self.counts["late_groups"] += late
        if place not in self._firsts:
            self.counts["repeated_problems"] += 1
            return
        for group in self._streaming.groups(pool):  # none if its verifier failed
            chosen, counts = admitted(group, self._cutoffs, self._settings.replay, self._settings.seed, self._step)
            self.counts += counts
            self.admitted.update(attempt.correct for attempt in chosen)
            if late:
                self.late += [(place, pool, attempt) for attempt in chosen]
            else:
                self._correct(asked, pool, chosen, (OWN, place))

    def _correct(self, asked: Asked, pool: Stream, attempts: list[Attempt], prefix: Key) -> None:
        """Ask for the corrections of attempts of one group; those whose prompt does not fit are counted."""
        replays, counts = build_replays(pool, attempts, self._streaming.builder)
        self.counts.update(counts)
        self.admitted.subtract(attempt.correct for attempt in attempts)
        self.admitted.update(replay.attempt.correct for replay in replays)
        rollouts = self._settings.correction.rollouts
        for replay in replays:
            key = (*prefix, replay.attempt.sample)
            self.replays[key] = replay
            source = correction_source([replay]).repeat(rollouts)
            first = CORRECTION_REQUESTS + self._number(key) * rollouts
            uid = source.head.non_tensor_batch["uid"][0]
            request = source.asked(np.arange(first, first + rollouts), self._step, f"correction:{uid}")
            asked.add(key, request, Counter())

    def _number(self, key: Key) -> int:
        """No two replays of a step have the same: own attempts by their rows, then the carried."""
        kind, place, sample = key
        return place * self._rollouts + sample if kind == OWN else len(self._source) + place

    def selection(self, base: Stream, chosen: list[Replay], trimmed: int, k: int, rho: float) -> Selection:
        """What was chosen and how, as metrics read it; candidates are the step's own."""
        candidates, dropped = distinct_candidates(self._streaming.groups(base))
        has_correct, has_failed = (any(a.correct == side for a in candidates) for side in (True, False))
        replay = self._settings.replay
        medium = sum(in_band(int(r.pool.solved[r.attempt.group]), r.pool.rollouts, replay) for r in chosen)
        counts = self.counts + dropped
        counts.update(
            candidates=len(candidates),
            medium=medium,
            fallback=len(chosen) - medium,
            cut_off=sum(r.attempt.cut_off for r in chosen),
            trimmed=trimmed,
        )
        for name in (*dropped, *COUNTS):
            counts[name] += 0
        wanted = wanted_correct(k, rho, has_correct, has_failed, replay.keep_probe)
        return Selection([r.attempt for r in chosen], wanted, counts)
