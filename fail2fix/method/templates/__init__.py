"""Prompt templates: the words around a quoted attempt (``fail2fix.correction.template``). One file a template.

``fail2fix.correction.header`` and ``.instruction`` replace a template's words. The layout is fixed
(`fail2fix.method.prompts.block_text`): problem, header, quoted attempt, instruction; form ``turn`` has the instruction
only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from fail2fix.method.config import CorrectionConfig
from fail2fix.method.doors import Door
from fail2fix.method.errors import InputError


class PromptTemplate(Protocol):
    """The words of a correction prompt: a class with two texts, neither of them empty.

    They must not tell whether the attempt is correct. Their tokens count towards
    ``fail2fix.correction.max_prompt_length``. An empty text, or no text, is refused before the run starts.
    """

    @property
    def header(self) -> str:
        """The words between the problem and the quoted attempt; form ``block`` only."""

    @property
    def instruction(self) -> str:
        """The request after the attempt: check it, preserve what is right, repair what is wrong."""


_template: Door[type[PromptTemplate] | PromptTemplate] = Door(
    "fail2fix.correction.template", PromptTemplate, default="fail2fix.method.templates.default.Default"
)


@dataclass(frozen=True)
class Words:
    """A template's words, as the config may have replaced them."""

    header: str
    instruction: str


def prompt_template(correction: CorrectionConfig) -> PromptTemplate:
    """The words of this run's correction prompts.

    Raises:
        InputError: the template does not load, lacks a text, or has an empty one.
    """
    found = _template(correction)
    template = found() if isinstance(found, type) else found
    words = Words(correction.header or template.header, correction.instruction or template.instruction)
    for name, text in vars(words).items():
        if not (isinstance(text, str) and text.strip()):
            raise InputError(f"fail2fix.correction.template={correction.template}: its {name} must be a text")
    return words
