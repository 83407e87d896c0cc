"""Made-up run folders in the shape that a training leaves."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from html.parser import HTMLParser
from itertools import count
from pathlib import Path
from typing import Any

from fail2fix.report.page import make_page, read_runs

FIX = {"fixed": (0, 1), "broken": (1, 0), "still_wrong": (0, 0)}
SENTENCE = "Each box holds 4 pencils, so there are {} in all."


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def metrics(step: int, **changes: Any) -> dict[str, Any]:
    """A healthy training step of 64 base rollouts and 64 corrections; keywords replace metrics, / written as __."""
    row: dict[str, Any] = {
        "step": step,
        "fail2fix/transition/fixed": 16.0,
        "fail2fix/transition/kept": 28.0,
        "fail2fix/transition/broken": 4.0,
        "fail2fix/transition/still_wrong": 16.0,
        "fail2fix/transition/fix_rate": 0.5,
        "fail2fix/transition/keep_rate": 0.875,
        "fail2fix/replay/rho": 0.5,
        "fail2fix/replay/rho_effective": 0.5,
        "fail2fix/replay/wanted": 8.0,
        "fail2fix/replay/chosen": 8.0,
        "fail2fix/replay/medium": 8.0,
        "fail2fix/risk/effect": 0.1,
        "fail2fix/correction/gain_over_constant": 0.1,
        "fail2fix/base/accuracy": 0.5,
        "training/rollout_actor_probs_pearson_corr": 0.999,
        "actor/entropy": 0.5,
        "timing_s/gen": 7.0,
        "timing_s/gen_base": 4.0,
        "timing_s/update_actor": 20.0,
        "timing_s/step": 30.0,
    }
    for stream in ("base", "correction"):
        row |= {
            f"fail2fix/{stream}/rollouts": 64.0,
            f"fail2fix/{stream}/groups": 8.0,
            f"fail2fix/{stream}/zero_variance_groups": 2.0,
            f"fail2fix/{stream}/excluded_groups": 0.0,
            f"fail2fix/{stream}/verifier_timeouts": 0.0,
            f"fail2fix/{stream}/cut_off": 0.0,
            f"fail2fix/{stream}/response_length": 20.0,
            f"fail2fix/{stream}/entropy": 0.5,
            f"fail2fix/{stream}/ppo_kl": 1e-4,
        }
        account = {"prompts": 8.0, "trained": 8.0, "skipped": 0.0, "failed": 0.0}
        account |= dict.fromkeys(("generated", "verified", "recorded"), 64.0)
        row |= {f"fail2fix/accounting/{stream}/{name}": value for name, value in account.items()}
    return row | {name.replace("__", "/"): value for name, value in changes.items()}


def attempt_row(uid: str, output: str, verdict: int, problem: str = "A problem", pred: str = "7") -> dict[str, Any]:
    row = {"input": f"user\n{problem}\nassistant\n", "output": output, "score": float(verdict), "verdict": verdict}
    return row | {"uid": uid, "attempt_id": "", "attempt_correct": -1, "pred": pred, "verify_status": "ok"}


def correction_row(
    attempt_id: str, attempt: Mapping[str, Any], output: str, verdict: int, pred: str = "8"
) -> dict[str, Any]:
    """A correction that quotes an attempt in a block."""
    quoted = f"user\nA problem\n\nAn attempt:\n\n<attempt>\n{attempt['output']}\n</attempt>\n\nCheck it.\nassistant\n"
    row = attempt_row(attempt_id, output, verdict, pred=pred) | {"input": quoted, "attempt_id": attempt_id}
    return row | {"attempt_correct": attempt["verdict"]}


def rollouts(step: int, each: int = 4, texts: Iterator[str] | None = None) -> list[dict[str, Any]]:
    """``each`` attempts with one correction for each kind; ``texts`` gives problem, attempt, correction and answers."""
    rows = []
    numbers = count(10 * step)
    for place, (kind, (before, after)) in enumerate((k, v) for k, v in FIX.items() for _ in range(each)):
        uid = f"{step}-{place}"
        problem, output, corrected, pred, corrected_pred = (
            (next(texts) for _ in range(5))
            if texts
            else (kind, SENTENCE.format(next(numbers)), SENTENCE.format(next(numbers)), "7", "8")
        )
        rows.append(attempt_row(uid, output, before, problem, pred))
        rows.append(correction_row(f"f2f-{uid}-0", rows[-1], corrected, after, corrected_pred))
    return rows


def write_run(folder: Path, steps: int = 4, each: int = 4, texts: Iterator[str] | None = None, **changes: Any) -> Path:
    """A run of some steps, with dumps, a validation before and after, and frozen held-out corrections."""
    write_lines(folder / "metrics.jsonl", [{"step": 0}, *(metrics(step, **changes) for step in range(1, steps + 1))])
    for step in range(1, steps + 1):
        write_lines(folder / "rollouts" / f"{step}.jsonl", rollouts(step, each, texts))
    for step, right in ((0, 4), (steps, 12)):
        answers = [{"input": f"q{n}", "output": "7", "score": float(n < right)} for n in range(16)]
        write_lines(folder / "validation" / f"{step}.jsonl", answers)
        corrected = [
            {"problem": f"q{n}", "attempt_correct": n % 2 == 0, "correct": n < right, "status": "ok"} for n in range(16)
        ]
        write_lines(folder / "held_out_corrections" / f"{step}.jsonl", corrected)
    (folder / "config.yaml").write_text("data: {train_batch_size: 8}\nfail2fix: {seed: 0}\n")
    (folder / "versions.json").write_text('{"packages": {"verl": "0.9.1"}, "python": "3.11.2"}')
    (folder / "finished").touch()
    return folder


def page_of(*folders: Path) -> str:
    """The page of some runs."""
    return make_page(read_runs(folders))


class Page(HTMLParser):
    """A page read back: its elements with attributes in order, its text, and the text of each ``pre``.

    ``del`` and ``ins`` mark changed words, so that texts decide where they are: they are only counted.
    """

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[object, ...]] = []
        self.quoted: list[str] = []
        self.marked: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open.append(tag)
        if tag in ("del", "ins") and not attrs:
            self.marked.append("")
            return
        self.text += " "
        self.elements.append(("start", tag, tuple(attrs)))
        if tag == "pre":
            self.quoted.append("")

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass
        if tag not in ("del", "ins"):
            self.elements.append(("end", tag))

    def handle_data(self, data: str) -> None:
        self.text += data
        if "pre" in self._open:
            self.quoted[-1] += data
        if self._open and self._open[-1] in ("del", "ins"):
            self.marked[-1] += data

    def handle_comment(self, data: str) -> None:
        self.elements.append(("comment", data))

    def handle_decl(self, decl: str) -> None:
        self.elements.append(("declaration", decl))

    def handle_pi(self, data: str) -> None:
        self.elements.append(("instruction", data))
