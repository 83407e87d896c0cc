"""What a check of a program says: the math pool's verdict, and how many tests passed.

A verdict's status:
- "ok": the program was judged. One that does not compile, raises, exits or crashes is a wrong answer and "ok".
- "timeout": it ran into a limit: time, memory, output. It is wrong: repeating it would cost the limit again.
- "no_answer": the response holds no program (`program_text.py`).
- "error": no verdict could be had: no sandbox could be started, or the service did not answer.
"""

from dataclasses import dataclass
from typing import Literal

from fail2fix.verify.verifier import Verdict


@dataclass(frozen=True)
class Outcome:
    """How a program did: `passed` of the `total` tests that were run.

    After a first failure that ends the run, `total` still counts every test where their number is known without
    running them (calls, stdin/stdout); for assertion scripts it counts the assertions reached.
    """

    status: Literal["ok", "timeout", "error"]
    passed: int = 0
    total: int = 0

    @property
    def correct(self) -> bool:
        return self.status == "ok" and self.passed == self.total > 0


@dataclass(frozen=True)
class CodeVerdict(Verdict):
    """`pred` is the program judged."""

    passed: int = 0
    total: int = 0
