"""Check that the run's verifiers can read every row's ground truth, and can run on this machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fail2fix.data.echoes import Pair, echo_counts, remembered, unsearched
from fail2fix.method.errors import InputError
from fail2fix.verify.config import VerifierConfig
from fail2fix.verify.registry import ground_truth_problem, ground_truth_text, open_verifier, verifier_of


class GroundTruths:
    """The verifiers that the rows read so far need, and the number of rows of each data source."""

    def __init__(self, settings: VerifierConfig, prompt_key: str) -> None:
        self._settings, self._prompt_key = settings, prompt_key
        self._sources: Counter[str] = Counter()
        self._valid: set[int] = set()  # hashes of ground truths already checked
        self._unsearched: list[Pair] = []

    def problem(self, row: Mapping[str, Any]) -> str:
        """What is wrong with a row's data source or its ground truth; "" if nothing is."""
        source, value = row["data_source"], row["reward_model"].get("ground_truth")
        if value in (None, ""):
            return "'reward_model' must have a ground_truth"
        try:
            name, text = verifier_of(source, self._settings), ground_truth_text(value)
        except InputError as error:
            return str(error)
        self._sources[source] += 1
        if pair := unsearched(row, self._prompt_key, self._settings):
            self._unsearched.append(pair)
        if (key := hash((name, text))) in self._valid:
            return ""
        if problem := ground_truth_problem(name, text):
            return f"'reward_model': ground_truth, for the {name} verifier: {problem}"
        self._valid.add(key)
        return ""

    def echoes(self, folder: Path) -> str:
        """Find the echoes of rows that no preparation of ours has searched; their numbers in words, "" without any.

        The rows get them when they are loaded (`fail2fix.verl_ext.echoes`), from the file in `folder`.

        Raises:
            InputError: the file of earlier finds cannot be read.
        """
        found = remembered(self._unsearched, folder)
        numbers = sum(bool(each.echoes) for each in found), sum(each.stated for each in found)
        return f"echoes in {len(found):,} rows: {echo_counts(*numbers)}" if any(numbers) else ""

    def describe(self, reward_workers: int) -> list[str]:
        """The verifier of each data source, one line each; and how each verifier that runs programs isolates them.

        Raises:
            InputError: a verifier cannot run here; what to install or set.
        """
        names = {source: verifier_of(source, self._settings) for source in sorted(self._sources)}
        lines = [
            f"data_source {source!r}: {self._sources[source]} rows, judged by the {name} verifier"
            for source, name in names.items()
        ]
        for name in sorted(set(names.values())):
            verifier: Any = open_verifier(name, self._settings)
            if hasattr(verifier, "describe"):
                lines.append(verifier.describe(reward_workers))
            verifier.close()
        return lines
