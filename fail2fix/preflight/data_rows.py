"""Check one row of a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

FIELDS = ("data_source", "reward_model")
SINGLE_TURN = "single_turn_agent"
MEDIA = ("image", "video", "audio")
NOT_MESSAGES = "must be a list of chat messages with role and content"


def row_problem(row: Any, prompt_key: str) -> str:
    """What is wrong with the fields of a row; "" if nothing is."""
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
    if not isinstance(reward, dict) or "ground_truth" not in reward:
        return "'reward_model' must have a ground_truth (null if your own reward function needs none)"
    if extra is not None and not isinstance(extra, dict):
        return f"'extra_info' must be named fields, or left out, not {type(extra).__name__}"
    return ""


def unsupported_problem(row: Mapping[str, Any], media_keys: Sequence[str], corrections: bool) -> str:
    """What a row needs that the training loop does not support; "" if nothing.

    Args:
        corrections: the run asks for corrections, which replay an attempt as one assistant turn.
    """
    for key in media_keys:
        if row.get(key):
            return f"has {key!r}: attempts and corrections are text only; leave rows with images, video or audio out"
    agent = row.get("agent_name", SINGLE_TURN)
    if corrections and agent != SINGLE_TURN:
        return (
            f"'agent_name' is {agent!r}: an attempt must be one assistant turn to be replayed; drop the column, or "
            f"write {SINGLE_TURN!r}"
        )
    return ""


def media_keys(data: Mapping[str, Any]) -> list[str]:
    """The columns in which verl looks for images, videos and audio."""
    return [data.get(f"{kind}_key") or f"{kind}s" for kind in MEDIA]


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
    with suppress(UnicodeEncodeError):
        text.encode()
        return True
    return False
