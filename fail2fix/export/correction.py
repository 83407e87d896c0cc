"""The correction prompt of an exported model as data: `correction_prompt.json`.

A prompt of form `block` is `problem + before_attempt + attempt + after_attempt` in one user turn; of form `turn`, the
problem, the attempt as the assistant's turn, and `instruction`. Both give the text that training asked with
(`method.prompts.CorrectionPromptBuilder`) for an attempt that spells none of the prompt's own marks.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any

from fail2fix.console.secret_text import refuse_secret
from fail2fix.export.run import TrainingRun, data_instruction
from fail2fix.method.config import CorrectionConfig
from fail2fix.method.markers import CLOSE_DELIMITER, OPEN_DELIMITER
from fail2fix.method.prompts import block_text
from fail2fix.method.templates import prompt_template
from fail2fix.method.thinking import KNOWN_MARKS

FILE = "correction_prompt.json"
FORMAT = 1
SECTION = "fail2fix.correction"


@dataclass(frozen=True)
class CorrectionWords:
    """The words of a run's correction prompts.

    `thinking`: `strip` where attempts are quoted without their thinking, which ends with the closing mark of a pair of
    `thinking_marks`. `problem_suffix`: the text after every problem of the training data, "" if unknown.
    """

    form: str
    header: str
    instruction: str
    thinking: str
    max_prompt_tokens: int
    problem_suffix: str
    chat_template_kwargs: dict[str, Any]
    thinking_marks: tuple[tuple[str, str], ...]

    def as_json(self) -> dict[str, Any]:
        """The file's fields."""
        before, after = block_text("", "\0", self.header, self.instruction).split("\0")
        delimiters = {"open_delimiter": OPEN_DELIMITER, "close_delimiter": CLOSE_DELIMITER}
        return {"format": FORMAT, **asdict(self), **delimiters, "before_attempt": before, "after_attempt": after}


def correction_words(run: TrainingRun) -> CorrectionWords | None:
    """A run's correction prompt; None for a run without corrections.

    Raises:
        InputError: one of the words holds a secret, or the run's own template does not load.
    """
    if run.text(f"{SECTION}.enabled") != "True":
        return None
    named, header, instruction = (run.words(f"{SECTION}.{name}") for name in ("template", "header", "instruction"))
    template = prompt_template(
        CorrectionConfig(template=named or "default", header=header or None, instruction=instruction or None)
    )
    suffix = data_instruction(run.data_files())
    refuse_secret("the instruction of the training data", suffix, os.environ)
    return CorrectionWords(
        form=run.words(f"{SECTION}.form"),
        header=template.header,
        instruction=template.instruction,
        thinking=run.words(f"{SECTION}.thinking"),
        max_prompt_tokens=int(run.words(f"{SECTION}.max_prompt_length")),
        problem_suffix=suffix,
        chat_template_kwargs=run.options("data.apply_chat_template_kwargs"),
        thinking_marks=KNOWN_MARKS + run.pairs(f"{SECTION}.thinking_marks"),
    )
