r"""Supervised warm-up for a task on which a model starts too low: verl's SFT trainer on worked solutions.

    python -m fail2fix.warmup --model MODEL --data FOLDER --out OUT --seed 0 --steps 12 --batch-size 16 --lr 5e-5 \
        --corrections configs/setup/arithmetic.yaml

    python -m fail2fix.warmup --model MODEL --chats outputs/guided/chats/chats.parquet --out OUT --steps 200 --lr 1e-5

FOLDER holds train.parquet and test.parquet of a task family (`fail2fix.data.tasks`). Worked solutions of *training*
problems become chats; a training problem that is also held out is refused. In a correction prompt the attempt is a near
miss (`corrupt` of the family) or, in a third of them, right; ``--templates`` are taught in turn. ``--chats`` takes
files of chats instead (`fail2fix.guided.chats`; `fail2fix.teach` writes them) and reports the loss on chats of
held-out problems.

The seed orders the chats; each is used once before any is used again. OUT becomes a Hugging Face folder for
`actor_rollout_ref.model.path`, with warmup.json: the inputs with their hashes, versions, losses, seconds.

OUT is a cache: equal inputs (contents, not paths) leave it unchanged, other inputs are refused, and so is a folder
without warmup.json. OUT appears in one step. Runs in one process on the device verl finds; on a CPU set
VERL_PLATFORM=cpu. Exit status: 0 done, 1 the trainer failed, 2 bad input.
"""

import argparse
import hashlib
import json
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

from fail2fix.console.command_line import OneLineParser, add_fields, given_fields
from fail2fix.console.printable import input_errors_in_one_line
from fail2fix.data.atomic import is_free, new_folder, write_json
from fail2fix.data.files import model_files, sha256
from fail2fix.data.rows import read_parquet, write_parquet
from fail2fix.data.tasks.family import family_of, near_miss
from fail2fix.evaluate.__main__ import find_model
from fail2fix.evaluate.settings import read_words
from fail2fix.guided.chats import MAX_LENGTH, Chat, Mix, Mixed, first_difference, mixed_chats
from fail2fix.method.errors import InputError, reading
from fail2fix.method.prompts import block_text
from fail2fix.method.templates import words_of

STAMP = "warmup.json"
LOSS = re.compile(r"step:(\d+) .*(train|val)/loss:([-0-9.e]+|nan)")
VALIDATIONS = 4  # of the held-out loss, the last one included


class TrainerError(RuntimeError):
    """verl's SFT trainer failed. The message is one line."""


@dataclass(frozen=True)
class Warmup:
    """Settings of a warm-up.

    `slips`: of worked solutions, so that the model can do more than it does; a correction is right more often than a
    first answer. `corrections`: the words of templates, used in turn; empty for no correction prompts. `chat_template`:
    Jinja, None for the model's own. `mix`: of files of chats, None for a task's folder.
    """

    seed: int = field(default=0, metadata={"help": "orders the problems"})
    steps: int = field(default=12, metadata={"help": "optimizer steps"})
    batch_size: int = field(default=16, metadata={"help": "chats a step"})
    lr: float = field(default=5e-5, metadata={"help": "learning rate"})
    schedule: str = field(
        default="constant",
        metadata={"help": "of the rate; cosine: after a tenth of the steps", "choices": ("constant", "cosine")},
    )
    slips: float = field(
        default=0.0,
        metadata={"help": "of --data: share of solutions that are near misses; half as many corrections are"},
    )
    corrections: list[dict[str, str]] = field(default_factory=list)
    chat_template: str | None = None
    mix: Mix | None = None

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch_size < 1 or self.lr <= 0:
            raise InputError(
                f"--steps {self.steps} --batch-size {self.batch_size} --lr {self.lr}: each must be positive"
            )
        if not 0 <= self.slips < 1:
            raise InputError(f"--slips {self.slips}: want at least 0 and less than 1")


def warm_up(model: Path, data: Path | Sequence[Path], out: Path, settings: Warmup) -> bool:
    """Make `out` the warmed-up model; False if it already was. `data`: a task's folder, or files of chats.

    Raises `InputError`, and `TrainerError`.
    """
    of_task = [(data, "train.parquet"), (data, "test.parquet")] if isinstance(data, Path) else []
    for folder, name in ((model, "config.json"), *of_task):
        if not (folder / name).is_file():
            raise InputError(f"{folder}: no {name} in it: give a Hugging Face folder as --model, a task's as --data")
    found = Mixed(worked_chats(data, settings)) if isinstance(data, Path) else chats_of(model, data, settings)
    inputs = inputs_of(model, [*found.train, *found.held_out], settings)
    if is_made(out, inputs):
        return False
    if found.left_out:
        print(f"warm-up: {found.left_out:,} chats are too long or not usable and left out", flush=True)
    with new_folder(out) as made:
        work = made.parent
        for name, rows in (("chats", found.train), ("held_out", found.held_out)):
            if rows:
                write_parquet(work / f"{name}.parquet", [{"messages": chat} for chat in rows])
        start = time.monotonic()
        losses = train(model, work, settings)
        (work / "checkpoints" / f"global_step_{settings.steps}" / "huggingface").rename(made)
        result = {
            "distinct_prompts": len({chat[0]["content"] for chat in found.train}),
            "first_loss": losses["train"][1],
            "last_loss": losses["train"][settings.steps],
            "held_out_losses": losses["val"],
            "left_out": found.left_out,
            "seconds": round(time.monotonic() - start, 1),
        }
        where = str(data) if isinstance(data, Path) else list(map(str, data))
        write_json(made / STAMP, {"inputs": inputs, "model": str(model), "data": where, "result": result})
    return True


def inputs_of(model: Path, chats: Sequence[Chat], settings: Warmup) -> dict[str, object]:
    """Everything the result depends on, by content: of the data, the chats drawn from them."""
    return {
        **asdict(settings),
        "model_sha256": sha256(model_files(model)),
        "chats_sha256": hashlib.sha256(json.dumps(chats).encode()).hexdigest(),
        "platform": os.environ.get("VERL_PLATFORM", ""),
        "versions": {name: version(name) for name in ("verl", "torch", "transformers")},
    }


def is_made(out: Path, inputs: dict[str, object]) -> bool:
    """Whether `out` was made from these inputs. Raises InputError if it was made otherwise."""
    stamp = out / STAMP
    if not stamp.is_file():
        if is_free(out):
            return False
        raise InputError(f"{out}: exists, and no warm-up made it (no {STAMP}): choose another --out")
    made: dict[str, object] = json.loads(stamp.read_text())["inputs"]
    differing = [
        f"{name} {made.get(name)} there, {value} now" for name, value in inputs.items() if made.get(name) != value
    ]
    if differing:
        raise InputError(f"{out}: made from other inputs ({'; '.join(differing)}): delete it or choose another --out")
    return True


def chats_of(model: Path, files: Sequence[Path], settings: Warmup) -> Mixed:
    """Chats of files, mixed for this warm-up. Raises `InputError`: as `mixed_chats`, or there is no tokenizer."""
    from transformers import AutoTokenizer

    with reading(f"--model {model}: its tokenizer cannot be read", hint="give a Hugging Face folder"):
        tokenizer = AutoTokenizer.from_pretrained(model, trust_remote_code=False)
    tokenizer.chat_template = settings.chat_template or tokenizer.chat_template
    wanted = settings.steps * settings.batch_size
    return mixed_chats(files, tokenizer, settings.mix or Mix(), wanted, settings.batch_size, settings.seed)


def worked_chats(data: Path, settings: Warmup) -> list[Chat]:
    """`steps * batch_size` chats: a training question, and its worked solution.

    Raises `InputError`: a row of no task family, a training problem that is also held out, or a worked solution that
    gets no full reward.
    """
    train, held_out = (
        read_parquet(data / name, str(data / name), "write the set again") for name in ("train.parquet", "test.parquet")
    )
    forbidden = {row["prompt"][0]["content"] for row in held_out}
    problems: list[tuple[Chat, str, str]] = []
    for index, row in enumerate(train):
        question, source, truth = row["prompt"][0]["content"], row["data_source"], row["reward_model"]["ground_truth"]
        family = family_of(source)
        solution = family.worked_solution(question)
        if question in forbidden:
            raise InputError(f"{data}: row {index} of train.parquet is in test.parquet too: write the set again")
        if family.compute_score(source, solution, truth)["acc"] != 1.0:
            raise InputError(f"{data}: row {index} of train.parquet has a wrong ground_truth: write the set again")
        chat = [{"role": "user", "content": question}, {"role": "assistant", "content": solution}]
        problems.append((chat, source, truth))
    if not problems:
        raise InputError(f"{data}: train.parquet holds no problem: write the set again")
    wanted, generator = settings.steps * settings.batch_size, random.Random(settings.seed)
    drawn: list[tuple[Chat, str, str]] = []
    while len(drawn) <= wanted:  # the number of passes also decides the attempts that are drawn below
        drawn += generator.sample(problems, len(problems))
    templates = [words_of(words) for words in settings.corrections]
    chats = []
    for index, ((asked, worked), source, truth) in enumerate(drawn[:wanted]):
        question, solution = asked["content"], worked["content"]
        corrects = bool(templates) and index % 2 == 1
        slips = settings.slips and generator.random() < settings.slips / (1 + corrects)
        taught = _missed(question, source, truth, generator) if slips else solution
        if corrects:
            words = templates[index // 2 % len(templates)]
            attempt = solution if index % 6 == 1 else _missed(question, source, truth, generator)
            question = block_text(question, attempt, words.header, words.instruction)
            taught = words.written(first_difference(attempt, taught), taught)
        chats.append([{"role": "user", "content": question}, {"role": "assistant", "content": taught}])
    return chats


def _missed(question: str, source: str, truth: str, generator: random.Random) -> str:
    """A near miss of a problem. Raises `InputError` if its family made a right solution."""
    solution = near_miss(source, question, generator)
    if family_of(source).compute_score(source, solution, truth)["acc"] == 1.0:
        raise InputError(f"data_source={source}: its corrupt() gave a right solution: {solution!r:.80}")
    return solution


def overrides(model: Path, work: Path, settings: Warmup) -> list[str]:
    """The Hydra overrides of verl's SFT trainer."""
    from hydra.core.override_parser.types import Quote, QuotedString

    template = QuotedString(settings.chat_template or "", Quote.single).with_quotes()
    longest = settings.mix.max_length if settings.mix else MAX_LENGTH  # in tokens; a longer chat ends the run
    held_out, frequency = work / "held_out.parquet", -(-settings.steps // VALIDATIONS)
    return [
        f"model.path={model.resolve()}",
        "model.enable_gradient_checkpointing=False",
        "+model.override_config.attn_implementation=sdpa",
        "engine.strategy=fsdp2",  # FSDP1 cannot load on a CPU
        f"engine.seed={settings.seed}",
        "engine.use_torch_compile=False",
        *([f"model.custom_chat_template={template}"] if settings.chat_template else []),
        f"optim.lr={settings.lr}",
        "optim.weight_decay=0.0",
        f"optim.lr_scheduler_type={settings.schedule}",
        *(["optim.lr_warmup_steps_ratio=0.1"] if settings.schedule == "cosine" else []),
        f"data.train_files={work / 'chats.parquet'}",
        *([f"data.val_files={held_out}", f"trainer.test_freq={frequency}"] if held_out.is_file() else []),
        f"data.train_batch_size={settings.batch_size}",
        f"data.max_length={longest}",
        f"data.max_token_len_per_gpu={4 * longest}",
        "data.num_workers=0",
        "checkpoint.save_contents=[hf_model]",
        f"trainer.default_local_dir={work / 'checkpoints'}",
        "trainer.total_epochs=1",
        f"trainer.total_training_steps={settings.steps}",
        f"trainer.seed={settings.seed}",
        "trainer.resume_mode=disable",
        "trainer.logger=[console]",
        # A CPU's attention computes every pair of tokens of a packed micro-batch.
        *(["trainer.device=cpu", "model.use_remove_padding=False"] if os.environ.get("VERL_PLATFORM") == "cpu" else []),
        f"hydra.run.dir={work}",
        "hydra.output_subdir=null",
    ]


def train(model: Path, work: Path, settings: Warmup) -> dict[str, dict[int, float]]:
    """Run verl's SFT trainer in its own process; {step: loss} of what is learned, `train`, and held out, `val`."""
    from fail2fix.verl_ext import environment

    environment.set_defaults()
    # What torchrun would set for one process; port 0 is any free one.
    alone = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1"}
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
    command = [sys.executable, "-m", "verl.trainer.sft_trainer", *overrides(model, work, settings)]
    log: list[str] = []
    with subprocess.Popen(
        command,
        env={**os.environ, **alone, **address},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        losses: dict[str, dict[int, float]] = {"train": {}, "val": {}}
        for line in process.stdout:
            log.append(line)
            if found := LOSS.search(line):
                step, kind, loss = int(found[1]), found[2], float(found[3])
                losses[kind][step] = loss
                shown = "loss" if kind == "train" else "held-out loss"
                print(f"warm-up step {step}/{settings.steps}: {shown} {loss:.4f}", flush=True)
    steps = len(losses["train"])
    if process.returncode or steps != settings.steps:
        sys.stderr.writelines(log[-40:])
        raise TrainerError(f"verl's SFT trainer ended with status {process.returncode} after step {steps}; see above")
    return losses


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    parser = OneLineParser(
        prog="python -m fail2fix.warmup",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--model", type=Path, required=True, help="Hugging Face folder or hub id to start from")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, help="a task's folder: train.parquet and test.parquet")
    source.add_argument("--chats", type=Path, nargs="+", metavar="FILE", help="files of chats (fail2fix.teach)")
    parser.add_argument("--out", type=Path, required=True, help="model folder to write")
    parser.add_argument("--chat-template", type=Path, metavar="JINJA", help="given to the model, instead of its own")
    parser.add_argument("--corrections", type=Path, metavar="YAML", help="half correction prompts, in its words")
    parser.add_argument("--templates", nargs="+", metavar="NAME", help="of --corrections, in turn (the file's)")
    add_fields(parser, Warmup)
    add_fields(parser, Mix)
    given = parser.parse_args(argv)
    with input_errors_in_one_line("warmup"):
        settings = settings_of(given)
        model = given.model if given.model.is_dir() else Path(find_model(str(given.model))[0])
        try:
            trained = warm_up(model, given.data or given.chats, given.out, settings)
        except TrainerError as error:
            sys.exit(f"warmup: {error}")
    print(f"{given.out}: {'warmed up' if trained else 'was there already'}")


def settings_of(given: argparse.Namespace) -> Warmup:
    """The settings of parsed options. Raises `InputError`: an option that has no use with another."""
    mix, words, template = given_fields(given, Mix), given.corrections, given.chat_template
    if (mix and given.data) or (given.chats and (words or given.templates or "slips" in given)):
        raise InputError(
            "--correction-share, --held-out and --max-length are of --chats, "
            "--corrections, --templates and --slips of --data"
        )
    if given.templates and not words:
        raise InputError("--templates: are of --corrections: give it too")
    with reading(f"--chat-template {template}", OSError, hint="give a Jinja chat template"):
        chat_template = template.read_text(encoding="utf-8-sig") if template else None
    return Warmup(
        **given_fields(given, Warmup),
        corrections=[read_words(words, name) for name in given.templates or [None]] if words else [],
        chat_template=chat_template,
        mix=Mix(**mix) if given.chats else None,
    )


if __name__ == "__main__":
    main()
