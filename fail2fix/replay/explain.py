"""Explain one step in words and tables: attempts, wishes, choices, corrections, advantages, the next replay ratio."""

from __future__ import annotations

from collections.abc import Iterator
from math import floor

from numpy.typing import NDArray
from rich.console import Console
from rich.text import Text

from fail2fix.method.config import Baseline, Scale
from fail2fix.method.selection import Attempt, PromptGroup, in_band
from fail2fix.replay.decide import Decision, ReplayedStep
from fail2fix.replay.figures import base_pull, figures_of, transitions_of
from fail2fix.replay.texts import StepTexts, shortened
from fail2fix.report.console_table import NOTHING, make_table, percent, shown
from fail2fix.report.transitions import CONSOLE_COLORS, TRANSITIONS

MARKS = "+ correct, - failed, ~ failed and cut off, x cannot be replayed; in brackets: chosen."
LISTED = 12  # lines of a table at most


def explain(step: ReplayedStep, texts: StepTexts, console: Console) -> None:
    """Walk through what the replay decides in a step."""
    explanation = _Explanation(step, texts, console)
    explanation.attempts()
    explanation.wanted()
    explanation.chosen()
    explanation.corrections()
    explanation.pull()
    explanation.next_ratio()


def telling_step(steps: list[ReplayedStep]) -> ReplayedStep:
    """The first of the steps with the most kinds of transitions that have an advantage."""

    def kinds(step: ReplayedStep) -> int:
        return sum(pull > 0 for pull in figures_of(step.run).pulls.values())

    return max(steps, key=kinds)


class _Explanation:
    """The parts of an explanation, each a heading, a few sentences and a table."""

    def __init__(self, step: ReplayedStep, texts: StepTexts, console: Console) -> None:
        self._recorded, self._decision, self._texts, self._console = step.recorded, step.replay, texts, console
        self._config = step.replay.settings.replay
        self._groups = {group.attempts[0].group: group for group in step.recorded.pool}
        self._parts = 0

    def attempts(self) -> None:
        """The pool, problem by problem."""
        pool, config = self._recorded.pool, self._config
        rollouts = [attempt for group in pool for attempt in group.attempts]
        right = sum(attempt.correct for attempt in rollouts)
        self._heading("The attempts")
        whose = "this step's own" if self._recorded.online else f"those of the source {config.source}, not this step's"
        self._say(f"{len(pool)} problems with {len(rollouts)} attempts, {whose}: {right} are correct.")
        self._say(f"The medium band is {percent(config.band_low)} to {percent(config.band_high)} solved, inclusive.")
        chosen = set(self._decision.selection.attempts)
        listed = sorted(pool, key=lambda group: not chosen & set(group.attempts))[:LISTED]
        table = make_table(["problem", "attempts", "solved", "band"], labels=2)
        for group in sorted(listed, key=pool.index):
            marks = Text().join(_mark(attempt, attempt in chosen) for attempt in group.attempts)
            solved = f"{group.solved}/{len(group.attempts)}"
            table.add_row(shown(self._name(group)), marks, solved, "medium" if self._is_medium(group) else NOTHING)
        self._console.print(table)
        self._say(MARKS)
        self._say_rest(len(pool), "problems")

    def wanted(self) -> None:
        """Quotas: rho K, and what was left out."""
        selection, state, config = self._decision.selection, self._decision.state, self._config
        k, settings = len(selection.attempts), self._decision.settings
        self._heading("What is wanted")
        self._say(
            f"rho = {state.rho:.4f}: the wanted share of correct attempts, so that corrections also learn to keep."
        )
        if config.rule != "quotas":
            self._say(f"The rule {config.rule} chooses {k} attempts.")
            return
        plain = floor(state.rho * k + 0.5)
        self._say(
            f"K = {k} attempts (at most {settings.correction.attempts}): floor(rho K + 1/2) = {plain} correct ones."
        )
        if plain != selection.wanted_correct:
            self._say(f"keep_probe makes it {selection.wanted_correct}: one attempt of each side, where there is one.")
        counts = selection.counts
        self._say(
            f"{counts['candidates']} candidates; left out: {counts['duplicates']} that repeat another of their problem "
            f"and {counts['unreplayable']} that cannot be replayed."
        )

    def chosen(self) -> None:
        """The chosen attempts and why each was in line."""
        selection, counts = self._decision.selection, self._decision.selection.counts
        self._heading("What is chosen")
        if not selection.attempts:
            self._say("Nothing: a plain step of the base algorithm.")
            return
        self._say(f"{selection.correct} correct and {len(selection.attempts) - selection.correct} failed.")
        if self._config.rule == "quotas":
            band = ", then the medium band before the rest" if self._config.difficulty else ""
            self._say(f"Of each side, complete answers come before cut-off ones{band}.")
            self._say("A hash of seed, step and content decides between equals.")
        if counts["relaxed"]:
            self._say(f"{counts['relaxed']} exceed max_attempts_per_prompt={self._config.max_attempts_per_prompt}.")
        if counts["filled"]:
            self._say(f"{counts['filled']} fill places that the other side could not fill.")
        columns = {"its answer": self._texts.answer, "right answer": self._texts.truth} if self._texts else {}
        table = make_table(["attempt", "why", *columns], labels=2)
        for attempt in selection.attempts[:LISTED]:
            answers = [shown(read(attempt.group, attempt.sample)) for read in columns.values()]
            table.add_row(shown(self._name_of(attempt)), self._reason(attempt), *answers)
        self._console.print(table)
        self._say_rest(len(selection.attempts), "attempts")

    def corrections(self) -> None:
        """Verdicts, shaped rewards and advantages of each chosen attempt's corrections."""
        decision, advantage, risk = self._decision, self._decision.settings.advantage, self._decision.settings.risk
        self._heading("What the corrections earned")
        if not len(decision.known):
            self._say("No chosen attempt has corrections.")
            return
        size = decision.correct.shape[1]
        self._say(f"Each attempt got {size} corrections, and each is compared with the others of its attempt.")
        if risk.rule != "broken":
            self._say(f"The rule {risk.rule} takes the penalty from the reward.")
        elif risk.penalty:
            cost = risk.penalty * risk.reward_scale
            self._say(f"Breaking a correct attempt costs {cost:g} beside the reward.")
        self._say(
            f"advantage.scale={advantage.scale.name}: {_SCALES[advantage.scale]}{_BASELINES[advantage.baseline]}."
        )
        if len(decision.known) < len(decision.selection.attempts):
            self._say("The run did not choose some of these attempts: they were never corrected.")
        table = make_table(["attempt", "corrections", "shaped reward", "advantage", "push"], labels=2)
        row_of = {int(k): row for row, k in enumerate(decision.known)}
        for k, attempt in enumerate(decision.selection.attempts[:LISTED]):
            name = shown(self._name_of(attempt))
            for cells, style in _corrected(decision, row_of.get(k)):
                table.add_row(name, *cells, style=style)
                name = shown("")
        self._console.print(table)
        self._say_rest(len(decision.selection.attempts), "attempts")

    def pull(self) -> None:
        """How hard each kind of correction pulls."""
        figures, base = figures_of(self._decision), base_pull([self._recorded])
        self._heading("What pulls how hard")
        weight = self._decision.settings.correction.weight
        self._say(f"The mean absolute advantage a rollout; for corrections times lambda = {weight:g}.")
        table = make_table(["", "rollouts", "pull"])
        table.add_row("solving", f"{int(self._recorded.base.trained.sum()):,}", f"{base:.3f}")
        for name in TRANSITIONS:
            value = figures.pull(name)
            cells = f"{figures.transitions[name]:,}", NOTHING if value is None else f"{value:.3f}"
            table.add_row(name, *cells, style=CONSOLE_COLORS[name])
        self._console.print(table)

    def next_ratio(self) -> None:
        """Retention and the next rho."""
        before, after, config = self._decision.state, self._decision.next_state, self._decision.settings.ratio
        self._heading("The next step")
        of = self._decision.correct[self._decision.attempt_correct & self._decision.kept]
        if not of.size:
            self._say(f"No correction of a correct attempt: retention is not measured, and rho stays {before.rho:.4f}.")
            return
        self._say(
            f"Retention: {int(of.sum())} of {of.size} corrections of correct attempts are correct"
            f" ({percent(float(of.mean()))}; target {percent(config.target_retention)})."
        )
        if config.adaptive:
            self._say(
                f"rho goes from {before.rho:.4f} to {after.rho:.4f}, within [{config.minimum}, {config.maximum}]."
            )
        else:
            self._say(f"rho stays {after.rho:.4f}: ratio.adaptive=false.")

    def _heading(self, words: str) -> None:
        self._parts += 1
        self._console.print()
        self._console.print(shown(f"{self._parts}. {words}"), style="bold")

    def _say(self, words: str) -> None:
        self._console.print(shown(words))

    def _say_rest(self, count: int, what: str) -> None:
        if count > LISTED:
            self._say(f"{count - LISTED:,} more {what} are not listed.")

    def _is_medium(self, group: PromptGroup) -> bool:
        """Whether a problem is in the band, over all its groups in the pool."""
        same = [other for other in self._recorded.pool if other.key == group.key]
        return in_band(sum(g.solved for g in same), sum(len(g.attempts) for g in same), self._config)

    def _name(self, group: PromptGroup) -> str:
        number = group.attempts[0].group
        return f"{number}: {self._texts.problem(number) or shortened(group.key)}"

    def _name_of(self, attempt: Attempt) -> str:
        return f"{attempt.group}.{attempt.sample} ({'correct' if attempt.correct else 'failed'})"

    def _reason(self, attempt: Attempt) -> str:
        words = ["medium band" if self._is_medium(self._groups[attempt.group]) else "outside the band"]
        return ", ".join(words + ["cut off"] * attempt.cut_off)


_SCALES = {
    Scale.raw_std: "reward and penalty each over its own spread",
    Scale.shaped_std: "shaped rewards over their spread, in which the penalty cancels",
    Scale.none: "shaped rewards less their mean",
}
_BASELINES = {Baseline.group: "", Baseline.with_attempt: "; the attempt's own reward counts in mean and spread"}


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
