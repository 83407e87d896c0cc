"""Explain one step in words and tables: attempts, wishes, choices, corrections, advantages, the next replay ratio."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from math import floor

from numpy.typing import NDArray
from rich.console import Console
from rich.text import Text

from fail2fix.method.config import Baseline, Scale
from fail2fix.method.selection import Attempt, PromptGroup, in_band
from fail2fix.replay.decide import Decision, ReplayedStep
from fail2fix.replay.figures import base_pull, figures_of, transitions_of
from fail2fix.replay.texts import Texts, problem_of, shortened
from fail2fix.report.console_table import NOTHING, make_table, percent, shown
from fail2fix.report.transitions import CONSOLE_COLORS, TRANSITIONS

MARKS = "+ correct, - failed, ~ failed and cut off, x cannot be replayed; in brackets: chosen."
LISTED = 12  # problems or attempts of a table at most

Row = Sequence[str | Text]


def explain(step: ReplayedStep, texts: Texts | None, console: Console) -> None:
    """Walk through what the replay decides in a step."""
    explanation = _Explanation(step, texts, console)
    parts = {
        "The attempts": explanation.attempts,
        "What is wanted": explanation.wanted,
        "What is chosen": explanation.chosen,
        "What the corrections earned": explanation.corrections,
        "What pulls how hard": explanation.pull,
        "The next step": explanation.next_ratio,
    }
    for number, (heading, tell) in enumerate(parts.items(), 1):
        console.print()
        console.print(shown(f"{number}. {heading}"), style="bold")
        tell()


def telling_step(steps: list[ReplayedStep]) -> ReplayedStep:
    """The first of the steps with the most kinds of transitions that have an advantage."""
    return max(steps, key=lambda step: sum(pull > 0 for pull in figures_of(step.run).pulls.values()))


class _Explanation:
    """The parts of an explanation, each a few sentences and a table."""

    def __init__(self, step: ReplayedStep, texts: Texts | None, console: Console) -> None:
        self._recorded, self._decision, self._texts, self._console = step.recorded, step.replay, texts, console
        self._config = step.replay.settings.replay
        self._groups = {group.attempts[0].group: group for group in step.recorded.pool}

    def attempts(self) -> None:
        """The pool, problem by problem."""
        pool, config, chosen = self._recorded.pool, self._config, set(self._decision.selection.attempts)
        right, rollouts = sum(group.solved for group in pool), sum(len(group.attempts) for group in pool)
        whose = "this step's own" if self._recorded.online else f"those of the source {config.source}, not this step's"
        self._say(
            f"{len(pool)} problems with {rollouts} attempts, {whose}: {right} are correct.",
            f"The medium band is {percent(config.band_low)} to {percent(config.band_high)} solved, inclusive.",
        )
        listed = sorted(pool, key=lambda group: not chosen & set(group.attempts))[:LISTED]
        rows = [
            (
                self._name(group),
                Text().join(_mark(attempt, attempt in chosen) for attempt in group.attempts),
                f"{group.solved}/{len(group.attempts)}",
                "medium" if self._is_medium(group) else NOTHING,
            )
            for group in sorted(listed, key=pool.index)
        ]
        self._table(["problem", "attempts", "solved", "band"], rows)
        self._say(MARKS, _rest(pool, "problems"))

    def wanted(self) -> None:
        """Quotas: rho K, and what was left out."""
        selection, rho, rule = self._decision.selection, self._decision.state.rho, self._config.rule
        k, counts, most = len(selection.attempts), selection.counts, self._decision.settings.correction.attempts
        self._say(f"rho = {rho:.4f}: the wanted share of correct attempts, so that corrections also learn to keep.")
        if rule != "quotas":
            self._say(f"The rule {rule} chooses {k} attempts.")
            return
        plain, wanted = floor(rho * k + 0.5), selection.wanted_correct
        probe = f"keep_probe makes it {wanted}: one attempt of each side, where there is one."
        self._say(
            f"K = {k} attempts (at most {most}): floor(rho K + 1/2) = {plain} correct ones.",
            probe if plain != wanted else "",
            f"{counts['candidates']} candidates; left out: {counts['duplicates']} that repeat another of their problem "
            f"and {counts['unreplayable']} that cannot be replayed.",
        )

    def chosen(self) -> None:
        """The chosen attempts and why each was in line."""
        selection, counts, config = self._decision.selection, self._decision.selection.counts, self._config
        if not selection.attempts:
            self._say("Nothing: a plain step of the base algorithm.")
            return
        self._say(f"{selection.correct} correct and {len(selection.attempts) - selection.correct} failed.")
        if config.rule == "quotas":
            band = ", then the medium band before the rest" if config.difficulty else ""
            self._say(
                f"Of each side, complete answers come before cut-off ones{band}.",
                "A hash of seed, step and content decides between equals.",
            )
        relaxed, filled = counts["relaxed"], counts["filled"]
        self._say(
            f"{relaxed} exceed max_attempts_per_prompt={config.max_attempts_per_prompt}." if relaxed else "",
            f"{filled} fill places that the other side could not fill." if filled else "",
        )
        fields = {"its answer": "pred", "right answer": "gts"} if self._texts else {}
        rows = [
            (
                _name_of(attempt),
                self._reason(attempt),
                *(shortened(self._text(attempt, f), 16) for f in fields.values()),
            )
            for attempt in selection.attempts[:LISTED]
        ]
        self._table(["attempt", "why", *fields], rows)
        self._say(_rest(selection.attempts, "attempts"))

    def corrections(self) -> None:
        """Verdicts, shaped rewards and advantages of each chosen attempt's corrections."""
        decision, advantage, risk = self._decision, self._decision.settings.advantage, self._decision.settings.risk
        attempts, known = decision.selection.attempts, len(decision.known)
        if not known:
            self._say("No chosen attempt has corrections.")
            return
        cost = f"Breaking a correct attempt costs {risk.penalty * risk.reward_scale:g} beside the reward."
        own = f"The rule {risk.rule} takes the penalty from the reward."
        missing = "The run did not choose some of these attempts: they were never corrected."
        self._say(
            f"Each corrected attempt got {decision.correct.shape[1]} corrections, and each is compared with the others "
            "of its attempt.",
            own if risk.rule != "broken" else cost if risk.penalty else "",
            f"advantage.scale={advantage.scale.name}: {_SCALES[advantage.scale]}{_BASELINES[advantage.baseline]}.",
            missing if known < len(attempts) else "",
        )
        row_of = {int(k): row for row, k in enumerate(decision.known)}
        rows, styles = [], []
        for k, attempt in enumerate(attempts[:LISTED]):
            name = _name_of(attempt)
            for cells, style in _corrected(decision, row_of.get(k)):
                rows.append((name, *cells))
                styles.append(style)
                name = ""
        self._table(["attempt", "corrections", "shaped reward", "advantage", "push"], rows, styles)
        self._say(_rest(attempts, "attempts"))

    def pull(self) -> None:
        """How hard each kind of correction pulls."""
        figures, weight = figures_of(self._decision), self._decision.settings.correction.weight
        self._say(f"The mean absolute advantage a rollout; for corrections times lambda = {weight:g}.")
        pulls = {name: figures.pull(name) for name in TRANSITIONS}
        rows = [("solving", f"{int(self._recorded.base.trained.sum()):,}", f"{base_pull([self._recorded]):.3f}")]
        for name, pull in pulls.items():
            rows.append((name, f"{figures.transitions[name]:,}", NOTHING if pull is None else f"{pull:.3f}"))
        self._table(["", "rollouts", "pull"], rows, ["", *map(CONSOLE_COLORS.__getitem__, TRANSITIONS)], labels=1)

    def next_ratio(self) -> None:
        """Retention and the next rho."""
        before, after, config = self._decision.state, self._decision.next_state, self._decision.settings.ratio
        of = self._decision.correct[self._decision.attempt_correct & self._decision.kept]
        if not of.size:
            self._say(f"No correction of a correct attempt: retention is not measured, and rho stays {before.rho:.4f}.")
            return
        moved = f"rho goes from {before.rho:.4f} to {after.rho:.4f}, within [{config.minimum}, {config.maximum}]."
        self._say(
            f"Retention: {int(of.sum())} of {of.size} corrections of correct attempts are correct"
            f" ({percent(float(of.mean()))}; target {percent(config.target_retention)}).",
            moved if config.adaptive else f"rho stays {after.rho:.4f}: ratio.adaptive=false.",
        )

    def _say(self, *lines: str) -> None:
        for line in filter(None, lines):
            self._console.print(shown(line))

    def _table(self, columns: list[str], rows: Sequence[Row], styles: Iterable[str] = (), labels: int = 2) -> None:
        table = make_table(columns, labels)
        for row, style in zip_longest(rows, styles, fillvalue=""):
            table.add_row(*(cell if isinstance(cell, Text) else shown(cell) for cell in row), style=style)
        self._console.print(table)

    def _is_medium(self, group: PromptGroup) -> bool:
        """Whether a problem is in the band, over all its groups in the pool."""
        same = [other for other in self._recorded.pool if other.key == group.key]
        return in_band(sum(g.solved for g in same), sum(len(g.attempts) for g in same), self._config)

    def _text(self, attempt: Attempt, field: str) -> str:
        return self._texts(attempt.group, attempt.sample, field) if self._texts else ""

    def _name(self, group: PromptGroup) -> str:
        first = group.attempts[0]
        return f"{first.group}: {problem_of(self._text(first, 'input')) or shortened(group.key)}"

    def _reason(self, attempt: Attempt) -> str:
        words = ["medium band" if self._is_medium(self._groups[attempt.group]) else "outside the band"]
        return ", ".join(words + ["cut off"] * attempt.cut_off)


_SCALES = {
    Scale.raw_std: "reward and penalty each over its own spread",
    Scale.shaped_std: "shaped rewards over their spread, in which the penalty cancels",
    Scale.none: "shaped rewards less their mean",
}
_BASELINES = {Baseline.group: "", Baseline.with_attempt: "; the attempt's own reward counts in mean and spread"}


def _rest(found: Sequence[object], what: str) -> str:
    return f"{len(found) - LISTED:,} more {what} are not listed." if len(found) > LISTED else ""


def _name_of(attempt: Attempt) -> str:
    return f"{attempt.group}.{attempt.sample} ({'correct' if attempt.correct else 'failed'})"


def _mark(attempt: Attempt, chosen: bool) -> Text:
    mark = "x" if not attempt.replayable else "+" if attempt.correct else "~" if attempt.cut_off else "-"
    return Text(f"[{mark}]" if chosen else mark, style="bold" if chosen else "")


def _corrected(decision: Decision, row: int | None) -> Iterator[tuple[tuple[str, ...], str]]:
    """One line a transition of an attempt's corrections, and its color."""
    if row is None:
        yield ("never corrected", NOTHING, NOTHING, "unknown"), ""
    elif not decision.kept[row]:
        yield ("a check failed", NOTHING, NOTHING, "not in the update"), ""
    else:
        shaped, advantage = (decision.plain - decision.taken)[row], decision.advantage[row]
        for name, rows in transitions_of(decision).items():
            of = rows[row]
            if of.any():
                values = _range(shaped[of], ".2f"), _range(advantage[of], "+.2f")
                yield (f"{of.sum()} {name}", *values, _push(advantage[of])), CONSOLE_COLORS[name]


def _push(advantage: NDArray) -> str:
    if not advantage.any():
        return "none: all alike"
    return "more" if advantage.min() > 0 else "less" if advantage.max() < 0 else "more of the best"


def _range(values: NDArray, form: str) -> str:
    """A value, or the lowest and the highest."""
    ends = dict.fromkeys(f"{value:{form}}" for value in (values.min(), values.max()))
    return " to ".join(ends)
