"""What is wrong with one row of a data set, or with two of them together."""

from __future__ import annotations

from typing import Any

FIELDS = ("data_source", "reward_model")
NOT_MESSAGES = "must be a list of chat messages with role and content"


def row_problem(row: Any, prompt_key: str) -> str:
    """What is wrong with a row by itself; "" if nothing is."""
    if not isinstance(row, dict):
        return "must be an object with named fields"
    for field in (prompt_key, *FIELDS):
        if field not in row:
            return f"field {field!r} is missing; it has {sorted(row)}"
    source, reward, extra = row["data_source"], row["reward_model"], row.get("extra_info")
    if problem := _messages_problem(row[prompt_key]):
        return f"{prompt_key!r} {problem}"
    if not isinstance(source, str) or not source.strip():
        return "'data_source' must be text that is not empty: it decides which verifier judges the row"
    if not isinstance(reward, dict) or reward.get("ground_truth") in (None, ""):
        return "'reward_model' must have a ground_truth"
    if extra is not None and not isinstance(extra, dict):
        return f"'extra_info' must be named fields, or left out, not {type(extra).__name__}"
    return ""


def _messages_problem(messages: Any) -> str:
    if not isinstance(messages, list) or not messages:
        return NOT_MESSAGES
    for message in messages:
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            return NOT_MESSAGES
        if not isinstance(message.get("content"), str):
            return "has a message whose content is not text"
        if not _is_unicode(message["content"]):
            return "has a message with half a character (a lone surrogate), which no tokenizer takes; remove it"
    last = messages[-1]
    if last["role"] != "user":
        return f"must end with a user message, not {last['role']!r}"
    return "" if last["content"].strip() else "ends with an empty user message: there is no problem in it"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class Repeats:
    """Rows that are there twice.

    One ``extra_info.id`` for two different problems is an error of the file, and refused. The same problem twice is
    a way to weight it, and counted; with another ground truth it contradicts itself, and is counted apart.
    """

    def __init__(self) -> None:
        self.repeated = 0
        self.contradictory = 0
        self._by_id: dict[str, tuple[str, int]] = {}
        self._truths: dict[int, int] = {}
        self._met: set[int] = set()

    def problem(self, row: dict[str, Any], prompt_key: str, where: str) -> str:
        """What is wrong with a row beside the ones before it; "" if nothing is. ``where``: its file and place."""
        content = hash((repr(row[prompt_key]), repr(row["reward_model"]["ground_truth"])))
        name = (row.get("extra_info") or {}).get("id")
        if name is not None:
            first, same = self._by_id.setdefault(str(name), (where, content))
            if same != content:
                return f"'extra_info': id {name!r} is that of another problem, {first}; make ids unique"
        known = self._truths.setdefault(prompt := hash(repr(row[prompt_key])), content)
        self.contradictory += known != content
        self.repeated += known == content and prompt in self._met
        self._met.add(prompt)
        return ""
