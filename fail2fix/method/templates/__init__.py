"""Prompt templates: the words around a quoted attempt (``fail2fix.correction.template``). One file a template.

``fail2fix.correction.header`` and ``.instruction`` replace a template's words. The layout is fixed
(`fail2fix.method.prompts.block_text`): problem, header, quoted attempt, instruction; form ``turn`` has the instruction
only. A template also says which part of a response holds the answer, and how a response that is imitated is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from fail2fix.method.config import CorrectionConfig
from fail2fix.method.doors import Door
from fail2fix.method.errors import InputError
from fail2fix.method.templates.default import Default


class PromptTemplate(Protocol):
    """The words of a correction prompt: a class with two texts, neither of them empty.

    They must not tell whether the attempt is correct. Their tokens count towards
    ``fail2fix.correction.max_prompt_length``. An empty text, or no text, is refused before the run starts.

    Two methods are optional; ``default`` has those of a template without them:

    - ``judged(response, attempt)``: the text in which the verifier looks for the answer.
    - ``written(diagnosis, solution)``: a good response, as a text to imitate. ``diagnosis``: "" for a right attempt,
      whose own text is then the solution.
    """

    @property
    def header(self) -> str:
        """The words between the problem and the quoted attempt; form ``block`` only."""

    @property
    def instruction(self) -> str:
        """The request after the attempt: check it, preserve what is right, repair what is wrong."""


template_class: Door[type[PromptTemplate] | PromptTemplate] = Door(
    "fail2fix.correction.template",
    PromptTemplate,
    default="fail2fix.method.templates.default.Default",
    diagnosis="fail2fix.method.templates.diagnosis.Diagnosis",
    review="fail2fix.method.templates.review.Review",
    verdict="fail2fix.method.templates.verdict.Verdict",
)


@dataclass(frozen=True)
class Words:
    """A template's words, as the config may have replaced them, and its two methods."""

    header: str
    instruction: str
    judged: Callable[[str, str], str]
    written: Callable[[str, str], str]


def prompt_template(correction: CorrectionConfig) -> Words:
    """The words of this run's correction prompts.

    Raises:
        InputError: the template does not load, lacks a text, or has an empty one.
    """
    found = template_class(correction)
    template = found() if isinstance(found, type) else found
    texts = {name: getattr(correction, name) or getattr(template, name) for name in ("header", "instruction")}
    for name, text in texts.items():
        if not (isinstance(text, str) and text.strip()):
            raise InputError(f"fail2fix.correction.template={correction.template}: its {name} must be a text")
    methods = {name: getattr(template, name, getattr(Default(), name)) for name in ("judged", "written")}
    return Words(**texts, **methods)


def words_of(correction: Mapping[str, str]) -> Words:
    """`prompt_template` of `template`, `header` and `instruction`, those that are set."""
    return prompt_template(CorrectionConfig(**correction))  # type: ignore[arg-type]
