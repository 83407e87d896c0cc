"""The correction prompt of an exported model as data: `correction_prompt.json`.

A prompt of form `block` is `problem + before_attempt + attempt + after_attempt` in one user turn; of form `turn`, the
problem, the attempt as the assistant's turn, and `instruction`. Both give the prompt of training
(`method.prompts.CorrectionPromptBuilder`) for an attempt without the prompt's own marks. `thinking`: `strip` where
attempts are quoted without their thinking, which ends with the closing mark of a pair of `thinking_marks`.
`problem_suffix`: the text after every problem of the training data, "" if unknown.
"""

import os
from typing import Any

from fail2fix.console.secret_text import refuse_secret
from fail2fix.export.run import TrainingRun, data_instruction
from fail2fix.method.config import CorrectionConfig
from fail2fix.method.markers import CLOSE_DELIMITER, OPEN_DELIMITER
from fail2fix.method.prompts import around_attempt
from fail2fix.method.templates import prompt_template
from fail2fix.method.thinking import KNOWN_MARKS

FILE = "correction_prompt.json"
FORMAT = 1
SECTION = "fail2fix.correction"


def correction_prompt(run: TrainingRun) -> dict[str, Any] | None:
    """The file's fields; None for a run without corrections. Raises `InputError`: one of the texts holds a secret."""
    if run.text(f"{SECTION}.enabled") != "True":
        return None
    section = run.options(SECTION)
    words = {name: section[name] for name in ("template", "header", "instruction") if section.get(name)}
    template = prompt_template(CorrectionConfig(**words))
    suffix = data_instruction(run.data_files())
    refuse_secret("the instruction of the training data", suffix, os.environ)
    before, after = around_attempt("", template.header, template.instruction)
    return {
        "format": FORMAT,
        "form": section["form"],
        "header": template.header,
        "instruction": template.instruction,
        "open_delimiter": OPEN_DELIMITER,
        "close_delimiter": CLOSE_DELIMITER,
        "before_attempt": before,
        "after_attempt": after,
        "thinking": section["thinking"],
        "thinking_marks": [*map(list, KNOWN_MARKS), *(section.get("thinking_marks") or [])],
        "max_prompt_tokens": section["max_prompt_length"],
        "problem_suffix": suffix,
        "chat_template_kwargs": run.options("data.apply_chat_template_kwargs"),
    }
