"""Benchmarks and their default sampling (METHOD.md, "Evaluation").

GSM8K, HumanEval, HumanEvalFix and CriticBench have one greedy answer a problem (ours).
"""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Sampling:
    """Sampling of answers; the metadata describe options of the command line."""

    samples: int = field(default=1, metadata={"help": "answers a problem"})
    temperature: float = field(default=0.0, metadata={"help": "0 is greedy"})
    top_p: float = field(default=1.0, metadata={"help": "share of the probability that is sampled from"})
    max_tokens: int = field(default=8192, metadata={"help": "new tokens of an answer"})


Task = Literal["solve", "correct", "critique"]


@dataclass(frozen=True)
class Benchmark:
    """`set_name`: in `fail2fix.data.sets`. `task`: solve its problems, correct its attempts, or critique them."""

    name: str
    set_name: str
    task: Task = "solve"
    sampling: Sampling = Sampling()


_AVERAGED = Sampling(samples=32, temperature=0.7)
_ALL = (
    *(Benchmark(name, name, sampling=_AVERAGED) for name in ("aime24", "aime25", "amc23")),
    *(Benchmark(name, name) for name in ("math500", "minerva", "olympiadbench", "gsm8k")),
    Benchmark("livecodebench", "livecodebench", sampling=Sampling(10, 0.2)),
    *(Benchmark(name, name) for name in ("leetcode", "humaneval", "mbpp")),
    Benchmark("criticbench", "criticbench", "correct"),
    Benchmark("criticbench_critique", "criticbench", "critique"),
    Benchmark("debugbench", "debugbench", "correct", Sampling(8, 0.2)),
    Benchmark("humanevalfix", "humanevalfix", "correct"),
)
BENCHMARKS = {each.name: each for each in _ALL}
