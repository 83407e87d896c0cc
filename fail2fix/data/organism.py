"""A small Llama of random weights, with a tokenizer made from a set's texts: a model for experiments, in seconds.

    python -m fail2fix.data.organism OUT --data data/latin --corrections configs/setup/organism_latin.yaml

OUT becomes a Hugging Face folder with a chat template, for `fail2fix.warmup --model`. Each digit and each mark is one
token, and so is each word of the training problems, of a correction prompt and of what its template has a model write,
as long as the vocabulary lasts; other words are spelled in bytes. The same inputs write the same weights. Needs torch,
transformers and tokenizers.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

from fail2fix.data.rows import read_parquet
from fail2fix.evaluate.settings import read_words
from fail2fix.guided.chats import first_difference
from fail2fix.method.errors import InputError
from fail2fix.method.prompts import block_text
from fail2fix.method.templates import words_of

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

START, END = "<|im_start|>", "<|im_end|>"
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PIECES = r" ?[A-Za-z]+| ?[0-9]| ?[^A-Za-z0-9\s]|\n+|\s"
"""What no token joins: words, digits and marks, each with a space before it."""


@dataclass(frozen=True)
class Shape:
    """Sizes of the model; the default has 1.1 million parameters."""

    layers: int = field(default=4, metadata={"help": "layers"})
    width: int = field(default=128, metadata={"help": "hidden size"})
    inner: int = field(default=512, metadata={"help": "size of a layer's feed-forward part"})
    heads: int = field(default=4, metadata={"help": "attention heads"})
    key_heads: int = field(default=2, metadata={"help": "heads of keys and values"})
    head_size: int = field(default=32, metadata={"help": "size of a head"})
    vocabulary: int = field(default=512, metadata={"help": "tokens, at least the 256 bytes and 3 special ones"})
    tied: bool = field(default=True, metadata={"help": "whether input and output embeddings are one matrix"})

    def __post_init__(self) -> None:
        if min(self.layers, self.width, self.inner, self.key_heads, self.head_size // 2) < 1 or self.vocabulary < 259:
            raise InputError(f"{self}: want at least one of each, a head size of 2 and a vocabulary of 259")
        if self.heads % self.key_heads or self.head_size % 2:
            raise InputError(f"{self}: want heads a multiple of key_heads, and an even head size")


def make(out: Path, tokenizer: PreTrainedTokenizerFast, shape: Shape, seed: int = 0) -> Path:
    """Write the model, in bf16, and its tokenizer to `out`."""
    import torch

    torch.manual_seed(seed)
    make_model(tokenizer, shape).to(torch.bfloat16).save_pretrained(out)
    tokenizer.save_pretrained(out)
    return out


def make_tokenizer(texts: Iterable[str], vocabulary: int, pieces: str | None = PIECES) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer with a chat template; no token joins two `pieces`, None: those of GPT-2."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    split = [pre_tokenizers.Split(Regex(pieces), "isolated")] if pieces else []
    in_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not pieces)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*split, in_bytes])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<|endoftext|>", START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=END, bos_token=START)
    fast.chat_template = CHATML
    return fast


def make_model(tokenizer: PreTrainedTokenizerFast, shape: Shape) -> LlamaForCausalLM:
    """A Llama of random weights in fp32, drawn from torch's current generator."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.width,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_heads,
        head_dim=shape.head_size,
        # transformers' .02 is for wide models: 300 steps teach this one 81 % of Latin squares so, and 35 % with .02.
        initializer_range=shape.width**-0.5,
        max_position_embeddings=2048,
        tie_word_embeddings=shape.tied,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config)
    model.generation_config.eos_token_id = model.generation_config.pad_token_id = tokenizer.eos_token_id
    return model


def texts_of(data: Path, config: Path | None = None, templates: Sequence[str | None] = (None,)) -> list[str]:
    """What the tokenizer is made from: a set's training problems, a correction and its answer in a config's words."""
    where = data / "train.parquet"
    rows = read_parquet(where, str(where), "give the folder of a task's set as --data")
    texts = [turn["content"] for row in rows for turn in row["prompt"]]
    for words in [words_of(read_words(config, template)) for template in templates] if config else []:
        texts.append(block_text("", "attempt", words.header, words.instruction))
        texts += [words.written(diagnosis, "") for diagnosis in ("", first_difference("1\n2", "1\n3"))]
    return [*texts, "user assistant system"]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m fail2fix.data.organism", description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, metavar="OUT", help="model folder to write")
    parser.add_argument("--data", type=Path, required=True, help="a task's folder: train.parquet")
    parser.add_argument("--corrections", type=Path, metavar="YAML", help="the words of its fail2fix.correction")
    parser.add_argument("--templates", nargs="+", default=[None], metavar="NAME", help="of --corrections (the file's)")
    parser.add_argument("--seed", type=int, default=0, help="of the weights (default: %(default)s)")
    for size in fields(Shape):
        if size.name != "tied":
            option, words = "--" + size.name.replace("_", "-"), f"{size.metadata['help']} (default: %(default)s)"
            parser.add_argument(option, type=int, default=size.default, help=words)
    given = vars(parser.parse_args(argv))
    out, data, config, templates, seed = (
        given.pop(name) for name in ("out", "data", "corrections", "templates", "seed")
    )
    try:
        shape = Shape(**given)
        make(out, make_tokenizer(texts_of(data, config, templates), shape.vocabulary), shape, seed)
    except InputError as error:
        sys.exit(str(error))
    print(f"{out}: a model of random weights")


if __name__ == "__main__":
    main()
