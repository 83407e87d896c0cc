"""Prompts of an evaluation, and the interface of the engines that answer them.

A prompt is a problem alone, or with an attempt to be corrected, as in training.

`TokenPrompts` gives vLLM the token ids of training; `ChatPrompts` gives an endpoint the same words as messages.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from fail2fix.evaluate.benchmarks import Sampling
from fail2fix.evaluate.judging import RIGHT, WRONG
from fail2fix.evaluate.questions import Question
from fail2fix.evaluate.settings import Settings
from fail2fix.method.chat_template import ChatTemplate
from fail2fix.method.markers import Markers
from fail2fix.method.prompts import AttemptContext, CorrectionPromptBuilder, block_text
from fail2fix.method.templates import words_of
from fail2fix.method.templates.default import Default
from fail2fix.method.thinking import ThinkingMarks

Message = dict[str, str]

CODE_HEADER = "Here is an attempt at this problem:"
CODE_INSTRUCTION = (
    "The attempt may be right or wrong. Check its program against the problem, keep what is right, repair what is "
    "wrong, and give the whole program again in the form the problem asks for."
)
"""The words of `configs/cipo_code.yaml`."""

CRITIQUE_INSTRUCTION = (
    "The attempt above may be right or wrong. Check it step by step, and do not write another solution. In the place "
    f"of an answer, end with \\boxed{{{RIGHT}}} if its final answer is right, or with \\boxed{{{WRONG}}} if it is not."
)
"""CriticBench's question without its examples, answered in a box."""

WORDS = {
    "correct": (Default.header, Default.instruction),
    "correct a program": (CODE_HEADER, CODE_INSTRUCTION),
    "critique": (Default.header, CRITIQUE_INSTRUCTION),
}
"""{kind of request: the text before an attempt, and after it}."""


def request_words(settings: Settings) -> dict[str, tuple[str, str]]:
    """`WORDS`, with those of the evaluation's own template for every request to correct."""
    if not settings.correction:
        return WORDS
    own = words_of(settings.correction)
    return WORDS | dict.fromkeys(("correct", "correct a program"), (own.header, own.instruction))


@dataclass(frozen=True)
class Prompt:
    """Input of an engine: token ids, or chat messages. `shortened`: the attempt's middle is left out."""

    ids: list[int] | None = None
    messages: list[Message] | None = None
    shortened: bool = False


@dataclass(frozen=True)
class Answered:
    """An attempt to be corrected, and its token ids where they are known."""

    text: str
    ids: list[int] | None = None


class TokenPrompts:
    """Prompts as token ids, at most `max_tokens` of them."""

    def __init__(self, tokenizer: Any, settings: Settings, max_tokens: int) -> None:
        self._tokenizer, self._max_tokens = tokenizer, max_tokens
        self._template = ChatTemplate(tokenizer, settings.template)
        self._builders = {
            asked: CorrectionPromptBuilder(
                tokenizer,
                form=settings.form,
                max_tokens=max_tokens,
                thinking=settings.thinking,
                thinking_marks=settings.thinking_marks,
                header=header,
                instruction=instruction,
                chat_template_kwargs=settings.template,
            )
            for asked, (header, instruction) in request_words(settings).items()
        }

    def solve(self, question: Question) -> Prompt | None:
        """The prompt of a problem; None: it is too long."""
        ids = self._encode(self._template.render(question.messages))
        return Prompt(ids=ids) if len(ids) <= self._max_tokens else None

    def correct(self, pairs: Sequence[tuple[Question, Answered]]) -> list[Prompt | None]:
        """One prompt an attempt, to correct or critique it; None if it is too long, blank or cannot be made safe."""
        prompts: list[Prompt | None] = [None] * len(pairs)
        for asked, builder in self._builders.items():
            places = [place for place, (question, _) in enumerate(pairs) if _asked_of(question) == asked]
            built = builder.build([self._context(*pairs[place]) for place in places])
            for place, prompt in zip(places, built, strict=True):
                prompts[place] = None if prompt is None else Prompt(ids=prompt.ids, shortened=prompt.shortened)
        return prompts

    def text(self, prompt: Prompt) -> str:
        """A prompt as text, for the answer records."""
        return str(self._tokenizer.decode(prompt.ids))

    def _context(self, question: Question, answered: Answered) -> AttemptContext:
        ids = self._encode(answered.text, as_data=True) if answered.ids is None else answered.ids
        return AttemptContext(question.messages, self._encode(self._template.render(question.messages)), ids)

    def _encode(self, text: str, as_data: bool = False) -> list[int]:
        encoded = self._tokenizer(text, add_special_tokens=False, split_special_tokens=as_data, verbose=False)
        return list(encoded["input_ids"])


class ChatPrompts:
    """The same methods with prompts as messages; the endpoint limits their length."""

    def __init__(self, settings: Settings) -> None:
        self._thinking = settings.thinking
        self._marks = ThinkingMarks.of(settings.thinking_marks)
        self._words = request_words(settings)
        self._markers = {asked: Markers.of([], phrases=words) for asked, words in self._words.items()}

    def solve(self, question: Question) -> Prompt | None:
        return Prompt(messages=question.messages)

    def correct(self, pairs: Sequence[tuple[Question, Answered]]) -> list[Prompt | None]:
        return [self._quoted(question, answered.text) for question, answered in pairs]

    def text(self, prompt: Prompt) -> str:
        return "\n".join(f"{message['role']}: {message['content']}" for message in prompt.messages or [])

    def _quoted(self, question: Question, text: str) -> Prompt | None:
        text = self._marks.answer_of(text) if self._thinking == "strip" else text
        asked = _asked_of(question)
        attempt = self._markers[asked].neutralize(text)
        if attempt is None or not attempt.strip():
            return None
        *earlier, last = question.messages
        content = block_text(last["content"], attempt, *self._words[asked])
        return Prompt(messages=[*earlier, {**last, "content": content}])


Prompts = TokenPrompts | ChatPrompts


Finish = Literal["stop", "length", "refused", "skipped"]


@dataclass(frozen=True)
class Request:
    """One answer to be written; `seed` None: a greedy one. `key`: what the caller knows it by."""

    prompt: Prompt
    sampling: Sampling
    seed: int | None
    key: str = ""


@dataclass(frozen=True)
class Completion:
    """One answer, in columns of its record. `*_tokens`: numbers of tokens. `response_ids`: None if unknown.

    `finish`: the model stopped, reached its token limit, the endpoint refused the prompt, or there was no prompt.
    """

    response: str
    response_tokens: int
    prompt_tokens: int
    finish: Finish
    response_ids: list[int] | None = None


Note = Callable[[Request, Completion], None]
"""Called with each answer as it comes."""


class Engine(Protocol):
    @property
    def prompts(self) -> Prompts:
        """The builder of prompts in the form that this engine takes."""

    def generate(self, requests: Sequence[Request], label: str) -> list[Completion]:
        """Answer a batch, in its order, under a progress bar called `label`. The result depends on nothing before."""

    def describe(self) -> dict[str, Any]:
        """The engine's name and settings, for evaluation.json."""


def _asked_of(question: Question) -> str:
    if question.task == "critique":
        return "critique"
    return "correct a program" if question.ability == "code" else "correct"
