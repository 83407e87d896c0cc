"""Settings of an evaluation: its command line options, written to `evaluation.json`; only equal ones resume it."""

import argparse
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from fail2fix.console.command_line import OneLineParser, add_fields, given_fields
from fail2fix.evaluate.benchmarks import BENCHMARKS, Sampling
from fail2fix.method.errors import InputError
from fail2fix.method.seeds import derived_seed
from fail2fix.method.templates import words_of
from fail2fix.verify.config import Channel, VerifierConfig

FILE = "file"
"""Stands for a file of problems where a benchmark has its name."""


def _option(default: Any, text: str, **options: Any) -> Any:
    """A field that is an option of the command line (`add_fields`)."""
    if isinstance(default, dict):
        return field(default_factory=dict, metadata={"type": _json_object, "metavar": "JSON", "help": text} | options)
    return field(default=default, metadata={"help": text} | options)


def _json_object(text: str) -> dict[str, Any]:
    found = None
    with suppress(ValueError):
        found = json.loads(text)
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError(f'{text!r} is not a JSON object such as \'{{"NAME": "VALUE"}}\'')
    return found


@dataclass(frozen=True)
class Settings:
    """One evaluation.

    `sampling`: {benchmark: how it is sampled}. `batch`: requests answered and written together, the most that a crash
    loses. `template`: options of the chat template. `max_model_len`: None for the model's own.
    """

    model: str
    sampling: dict[str, Sampling]
    engine: Literal["vllm", "openai"] = "vllm"
    endpoint: str = _option("", "an OpenAI-compatible service; its key: OPENAI_API_KEY", metavar="URL")
    seed: int = _option(0, "of sampling and of --limit's draw")
    limit: int | None = _option(None, "problems, or wrong attempts to teach, drawn by --seed", type=int, metavar="N")
    rounds: int = _option(0, "rounds that correct own answers", flag="self-correction", metavar="K")
    batch: int = _option(1024, "answers written together", metavar="N")
    correction: dict[str, str] = _option({}, 'words of corrections, e.g. \'{"template": "diagnosis"}\'')
    form: Literal["block", "turn"] = _option("block", "place of attempts in correction prompts")
    thinking: Literal["strip", "keep"] = _option("strip", "thinking blocks in attempts")
    thinking_marks: tuple[tuple[str, str], ...] = _option(
        (), "further marks; may be repeated", type=str, nargs=2, action="append", metavar=("OPENING", "CLOSING")
    )
    template: dict[str, Any] = _option({}, "e.g. '{\"enable_thinking\": false}'", flag="chat-template-kwargs")
    max_model_len: int | None = _option(None, "tokens of a prompt and its answer together", type=int, metavar="N")
    dtype: str = _option("auto", "of the weights in vLLM")
    tensor_parallel: int = _option(1, "GPUs that share the model", metavar="N")
    engine_options: dict[str, Any] = _option({}, "further arguments of vllm.LLM")
    channel: Literal["auto", "boxed", "answer_line"] = _option("boxed", "place of math answers")
    allow_echoes: bool = _option(False, "accept answers that restate an expression of the problem, as other tools do")
    verifiers: dict[str, str] = _option({}, "as fail2fix.verifier.sources of training")

    @property
    def verifier(self) -> VerifierConfig:
        """Settings of the verifiers, as in training."""
        return VerifierConfig(channel=Channel(self.channel), allow_echoes=self.allow_echoes, sources=self.verifiers)


OF_CORRECTIONS = ("rounds", "correction", "form", "thinking", "thinking_marks")
"""Settings of correction prompts."""


def model_parser(
    command: str, description: str | None, model_required: bool = True, without: Sequence[str] = ()
) -> OneLineParser:
    """The parser of a command that asks a model: --model, --out, and options for `settings_of` but those `without`."""
    form = argparse.RawDescriptionHelpFormatter
    prog = f"python -m fail2fix.{command}"
    parser = OneLineParser(prog=prog, description=description, formatter_class=form, allow_abbrev=False)
    model = "a Hugging Face folder or hub id, or the endpoint's name of it"
    parser.add_argument("--model", required=model_required, default="", help=model)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder, or one to be resumed")
    add_fields(parser, Sampling, show_defaults=False)  # each command and benchmark has its own
    add_fields(parser, Settings, without=without)
    if "correction" not in without:
        words = "a file with fail2fix.correction in it, instead of --correction"
        parser.add_argument("--corrections", type=Path, metavar="YAML", help=words)
    return parser


def read_words(config: Path, template: str | None = None) -> dict[str, str]:
    """Read template and words from a YAML file; a template has words of its own. Raises `InputError`: none there.

    `template`: instead of the file's; a word of the file may name it as ``${.template}``.
    """
    from omegaconf import OmegaConf

    if not config.is_file():
        raise InputError(f"--corrections {config}: no such file: give a config with fail2fix.correction")
    key, names = "fail2fix.correction", ("template", "header", "instruction")
    said = OmegaConf.load(config)
    template = template or OmegaConf.select(said, f"{key}.template")
    OmegaConf.update(said, f"{key}.template", template or "default", force_add=True)
    given = {name: OmegaConf.select(said, f"{key}.{name}") for name in names}
    words = {name: word for name, word in given.items() if isinstance(word, str)}
    if not template:
        del words["template"]
    if not ("template" in words or len(words) == 2):
        raise InputError(
            f"--corrections {config}: want fail2fix.correction.header and .instruction, or .template, in it"
        )
    return words


def parse(arguments: Sequence[str], description: str | None) -> tuple[Settings, argparse.Namespace]:
    """The settings and all options of a command line; ends the process with one line and status 2 if it is wrong."""
    parser = model_parser("evaluate", description)
    add = parser.add_argument
    names = f"of {', '.join(BENCHMARKS)}"
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("--benchmarks", nargs="+", default=[], choices=BENCHMARKS, metavar="NAME", help=names)
    asked.add_argument("--file", type=Path, help="instead: a prepared file of problems, each answered once, greedily")
    add("--data", type=Path, default=Path("data"), metavar="DIR", help="prepared sets, DIR/NAME/test.parquet (data)")
    add("--from", type=Path, dest="folder", metavar="FOLDER", help="local copies to prepare missing sets from")
    given = parser.parse_args(arguments)
    sampling = {name: BENCHMARKS[name].sampling for name in given.benchmarks}
    return settings_of(given, sampling or {FILE: Sampling()}), given


def settings_of(given: argparse.Namespace, sampling: dict[str, Sampling]) -> Settings:
    """The settings of parsed options (`model_parser`); `sampling`: what they change."""
    sampled, values = (given_fields(given, kind) for kind in (Sampling, Settings))
    values["sampling"] = {name: replace(each, **sampled) for name, each in sampling.items()}
    values["thinking_marks"] = tuple(map(tuple, values.get("thinking_marks", ())))
    if "corrections" in given and given.corrections:
        values["correction"] = read_words(given.corrections)
    return Settings(given.model, engine="openai" if values.get("endpoint") else "vllm", **values)


def check(settings: Settings) -> None:
    """Refuse invalid values. Raises `InputError`: naming the option, its value and what is allowed."""
    for name in ("limit", "batch", "max_model_len", "tensor_parallel"):
        value = getattr(settings, name)
        _require(value is None or value >= 1, name, value, "at least 1")
    _require(settings.rounds >= 0, "self-correction", settings.rounds, "a number of rounds, 0 or more")
    http, served = settings.endpoint.startswith(("http://", "https://")), settings.engine == "openai"
    wanted = "http://HOST:PORT/v1 of the service" if served else "left out: the engine is vllm"
    _require(http == served, "endpoint", settings.endpoint, wanted)
    _require(not served or settings.form == "block", "form", "turn", "block: an endpoint takes no ids")
    for name in ("max_model_len", "dtype", "tensor_parallel", "engine_options"):
        value, default = getattr(settings, name), getattr(Settings(settings.model, {}), name)
        _require(not served or value == default, name, value, "left out: the endpoint's service decides it")
    known = settings.correction.keys() <= {"template", "header", "instruction"}
    _require(known, "correction", settings.correction, "an object of template, header and instruction")
    words_of(settings.correction)
    for name, each in settings.sampling.items():
        critique = name in BENCHMARKS and BENCHMARKS[name].task == "critique" and settings.rounds > 0
        wanted = f"0 with {name}: a critique is no answer to be corrected"
        _require(not critique, "self-correction", settings.rounds, wanted)
        _require(each.temperature >= 0, "temperature", each.temperature, "0 or more")
        _require(0 < each.top_p <= 1, "top-p", each.top_p, "above 0, at most 1")
        _require(each.samples >= 1, "samples", each.samples, "at least 1")
        _require(each.max_tokens >= 1, "max-tokens", each.max_tokens, "at least 1")
        wanted = f"1 for {name}: greedy samples are equal (or give --temperature)"
        _require(each.temperature > 0 or each.samples == 1, "samples", each.samples, wanted)


def _require(holds: bool, option: str, value: object, allowed: str) -> None:
    if not holds:
        raise InputError(f"--{option.replace('_', '-')} {value}: must be {allowed}")


def request_seed(settings: Settings, benchmark: str, question: str, sample: int, round_: int) -> int | None:
    """The seed of one answer, independent of the order of answering; None where it is greedy."""
    if settings.sampling[benchmark].temperature == 0:
        return None
    return derived_seed(settings.seed, benchmark, question, sample, round_)
