r"""Supervised warm-up for a task on which a model starts too low: verl's SFT trainer on worked solutions.

    python -m fail2fix.warmup --model MODEL --data FOLDER --out OUT --seed 0 --steps 12 --batch-size 16 --lr 5e-5 \
        --corrections configs/setup/arithmetic.yaml

FOLDER holds train.parquet and test.parquet of a task family (`fail2fix.data.tasks`). Worked solutions of *training*
problems become chats; a training problem that is also held out is refused. The seed orders the problems; each is used
once before any is used again. OUT becomes a Hugging Face folder for `actor_rollout_ref.model.path`, with warmup.json:
the inputs with their hashes, versions, loss of the first and last step, seconds.

OUT is a cache: equal inputs (contents, not paths) leave it unchanged, other inputs are refused, and so is a folder
without warmup.json. OUT appears in one step. Runs in one process on the device verl finds; on a CPU set
VERL_PLATFORM=cpu.
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

from fail2fix.console.command_line import add_fields
from fail2fix.data.atomic import is_free, new_folder, write_json
from fail2fix.data.files import model_files, sha256
from fail2fix.data.rows import read_parquet, write_parquet
from fail2fix.data.tasks.family import family_of
from fail2fix.method.errors import InputError, reading
from fail2fix.method.prompts import block_text

STAMP = "warmup.json"
MAX_LENGTH = 512  # tokens of a chat; longer ones end the run
LOSS = re.compile(r"step:(\d+) .*train/loss:([-0-9.e]+|nan)")

Chat = list[dict[str, str]]
Words = dict[str, str]
"""The words around an attempt: `header` and `instruction` of `fail2fix.correction`."""


def read_words(config: Path) -> Words:
    """Read them from a YAML file. Raises `InputError` where they are missing."""
    from omegaconf import OmegaConf

    if not config.is_file():
        raise InputError(f"--corrections {config}: no such file: give a config with fail2fix.correction")
    said = OmegaConf.load(config)
    words = {name: OmegaConf.select(said, f"fail2fix.correction.{name}") for name in ("header", "instruction")}
    if not all(isinstance(word, str) for word in words.values()):
        raise InputError(f"--corrections {config}: want fail2fix.correction.header and .instruction in it")
    return words


@dataclass(frozen=True)
class Warmup:
    """Settings of a warm-up.

    `corrections`: None for no correction prompts. `chat_template`: Jinja, None for the model's own.
    """

    seed: int = field(default=0, metadata={"help": "orders the problems"})
    steps: int = field(default=12, metadata={"help": "optimizer steps"})
    batch_size: int = field(default=16, metadata={"help": "chats a step"})
    lr: float = field(default=5e-5, metadata={"help": "learning rate"})
    corrections: Words | None = None
    chat_template: str | None = None

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch_size < 1 or self.lr <= 0:
            raise InputError(
                f"--steps {self.steps} --batch-size {self.batch_size} --lr {self.lr}: each must be positive"
            )


def warm_up(model: Path, data: Path, out: Path, settings: Warmup) -> bool:
    """Make `out` the warmed-up model; False if it already was."""
    for folder, name in ((model, "config.json"), (data, "train.parquet"), (data, "test.parquet")):
        if not (folder / name).is_file():
            raise InputError(f"{folder}: no {name} in it: give a Hugging Face folder as --model, a task's as --data")
    chats = worked_chats(data, settings)
    inputs = inputs_of(model, chats, settings)
    if is_made(out, inputs):
        return False
    with new_folder(out) as made:
        work = made.parent
        write_parquet(work / "chats.parquet", [{"messages": chat} for chat in chats])
        start = time.monotonic()
        losses = train(model, work, settings)
        (work / "checkpoints" / f"global_step_{settings.steps}" / "huggingface").rename(made)
        result = {
            "distinct_prompts": len({chat[0]["content"] for chat in chats}),
            "first_loss": losses[0],
            "last_loss": losses[-1],
            "seconds": round(time.monotonic() - start, 1),
        }
        write_json(made / STAMP, {"inputs": inputs, "model": str(model), "data": str(data), "result": result})
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


def worked_chats(data: Path, settings: Warmup) -> list[Chat]:
    """`steps * batch_size` chats: a training question, and its worked solution.

    Raises `InputError`: a row of no task family, a training problem that is also held out, or a worked solution that
    gets no full reward.
    """
    train, held_out = (
        read_parquet(data / name, str(data / name), "write the set again") for name in ("train.parquet", "test.parquet")
    )
    forbidden = {row["prompt"][0]["content"] for row in held_out}
    chats: list[Chat] = []
    for index, row in enumerate(train):
        question, source, truth = row["prompt"][0]["content"], row["data_source"], row["reward_model"]["ground_truth"]
        family = family_of(source)
        solution = family.worked_solution(question)
        if question in forbidden:
            raise InputError(f"{data}: row {index} of train.parquet is in test.parquet too: write the set again")
        if family.compute_score(source, solution, truth)["acc"] != 1.0:
            raise InputError(f"{data}: row {index} of train.parquet has a wrong ground_truth: write the set again")
        chats.append([{"role": "user", "content": question}, {"role": "assistant", "content": solution}])
    if not chats:
        raise InputError(f"{data}: train.parquet holds no problem: write the set again")
    wanted, generator = settings.steps * settings.batch_size, random.Random(settings.seed)
    drawn: list[Chat] = []
    while len(drawn) <= wanted:  # the number of passes also decides the attempts that are drawn below
        drawn += generator.sample(chats, len(chats))
    drawn = drawn[:wanted]
    if settings.corrections is None:
        return drawn
    words, solutions = settings.corrections, [chat[1]["content"] for chat in chats]
    return [
        _correction(chat, solutions, index % 6 == 1, words, generator) if index % 2 else chat
        for index, chat in enumerate(drawn)
    ]


def _correction(chat: Chat, solutions: Sequence[str], right: bool, words: Words, generator: random.Random) -> Chat:
    """The same problem with an attempt: its own solution, or one of another problem."""
    question, solution = (turn["content"] for turn in chat)
    others = [other for other in solutions if other != solution]
    if not (right or others):
        raise InputError("--corrections: all training problems have one solution: no attempt would be wrong")
    attempt = solution if right else generator.choice(others)
    content = block_text(question, attempt, **words)
    return [{"role": "user", "content": content}, {"role": "assistant", "content": solution}]


def overrides(model: Path, work: Path, settings: Warmup) -> list[str]:
    """The Hydra overrides of verl's SFT trainer."""
    from hydra.core.override_parser.types import Quote, QuotedString

    template = QuotedString(settings.chat_template or "", Quote.single).with_quotes()
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
        f"data.train_files={work / 'chats.parquet'}",
        f"data.train_batch_size={settings.batch_size}",
        f"data.max_length={MAX_LENGTH}",
        f"data.max_token_len_per_gpu={4 * MAX_LENGTH}",
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


def train(model: Path, work: Path, settings: Warmup) -> list[float]:
    """Run verl's SFT trainer in its own process; the loss of each step."""
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
        losses: list[float] = []
        for line in process.stdout:
            log.append(line)
            if found := LOSS.search(line):
                losses.append(float(found[2]))
                print(f"warm-up step {found[1]}/{settings.steps}: loss {losses[-1]:.4f}", flush=True)
    if process.returncode or len(losses) != settings.steps:
        sys.stderr.writelines(log[-40:])
        steps = len(losses)
        raise InputError(f"verl's SFT trainer ended with status {process.returncode} after step {steps}; see above")
    return losses


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m fail2fix.warmup", description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="Hugging Face folder to start from")
    parser.add_argument("--data", type=Path, required=True, help="a task's folder: train.parquet and test.parquet")
    parser.add_argument("--out", type=Path, required=True, help="model folder to write")
    parser.add_argument("--chat-template", type=Path, metavar="JINJA", help="given to the model, instead of its own")
    parser.add_argument("--corrections", type=Path, metavar="YAML", help="half correction prompts, in its words")
    add_fields(parser, Warmup)
    given = vars(parser.parse_args(argv))
    model, data, out, words, template = map(given.pop, ("model", "data", "out", "corrections", "chat_template"))
    try:
        with reading(f"--chat-template {template}", OSError, hint="give a Jinja chat template"):
            given["chat_template"] = template.read_text(encoding="utf-8-sig") if template else None
        given["corrections"] = read_words(words) if words else None
        trained = warm_up(model, data, out, Warmup(**given))
    except InputError as error:
        sys.exit(str(error))
    print(f"{out}: {'warmed up' if trained else 'was there already'}")


if __name__ == "__main__":
    main()
