"""Export a training checkpoint as a Hugging Face model folder.

    scripts/export.sh CHECKPOINT OUT            CHECKPOINT: .../global_step_N, or the `actor` folder in it

LoRA adapters are merged. Weights keep the checkpoint's number format unless --dtype says otherwise (--dtype bfloat16
halves an fp32 export). OUT also gets the tokenizer with its chat template and a model card (README.md). Where the run
trained corrections, it gets the words that ask for one (correction_prompt.json). Card and words are made from the run's
folder, which is found above CHECKPOINT or given with --run. OUT appears when it is complete. Exit status: 0 done, 2 bad
input, 74 OUT could not be written.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from fail2fix.console.command_line import OneLineParser, run_command
from fail2fix.console.printable import one_line
from fail2fix.data.atomic import is_free, new_folder, write_whole
from fail2fix.data.files import require_writable
from fail2fix.method.errors import InputError
from fail2fix.run.exit_status import Exit

DTYPES = ("float32", "bfloat16", "float16")
# verl writes a whole model too if asked (save_contents=[hf_model]): in bf16, and LoRA keys under PEFT's names.
WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "*.bin", "*.bin.index.json")


def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    form = argparse.RawDescriptionHelpFormatter
    parser = OneLineParser("python -m fail2fix.export", description=__doc__, formatter_class=form, allow_abbrev=False)
    add = parser.add_argument
    add("checkpoint", type=Path, metavar="CHECKPOINT", help=".../global_step_N, or the actor folder in it")
    add("out", type=Path, metavar="OUT", help="a new or empty folder")
    add("--run", type=Path, metavar="FOLDER", help="the run's folder, where it is not above CHECKPOINT")
    add("--dtype", choices=DTYPES, help="of the weights (the checkpoint's own)")
    add("--trust-remote-code", action="store_true", help="run the code that the model's folder brings")
    given = parser.parse_args(argv)
    try:
        export(given)
    except InputError as error:
        print(f"export: error: {one_line(str(error))}", file=sys.stderr)
        return Exit.BAD_INPUT
    except OSError as error:
        print(f"export: error: {given.out}: could not be written: {one_line(str(error))}", file=sys.stderr)
        return Exit.NO_SPACE
    print(f"export: {given.out} is ready")
    return Exit.FINISHED


def export(given: argparse.Namespace) -> None:
    """Write the policy of a checkpoint to the folder OUT, which appears when it is complete.

    Raises:
        InputError: wrong input.
        OSError: OUT could not be written.
    """
    checkpoint, out = given.checkpoint, given.out
    if not checkpoint.is_dir():
        raise InputError(f"{checkpoint}: no such folder: give .../global_step_N")
    # torch and transformers take seconds to load, which --help and bad arguments do not need.
    from fail2fix.export.card import model_card
    from fail2fix.export.correction import FILE, correction_prompt
    from fail2fix.export.run import find_run, step_of
    from fail2fix.export.shards import actor_folder, read_state
    from fail2fix.export.weights import Checkpoint, save_policy

    actor = actor_folder(checkpoint)
    if not is_free(out):
        raise InputError(f"{out}: exists and is not empty: choose another folder or remove it")
    require_writable(out, "OUT")
    trained_by = find_run(checkpoint, given.run)
    asked = None if trained_by is None else correction_prompt(trained_by)
    trained = Checkpoint(read_state(actor), actor, trained_by, given.trust_remote_code)
    with new_folder(out) as folder:
        saved = save_policy(trained, folder, given.dtype)
        # Tokenizer, chat template, generation config and a model's own code, as verl saved them.
        written = shutil.ignore_patterns("config.json", *WEIGHTS)
        shutil.copytree(actor / "huggingface", folder, ignore=written, dirs_exist_ok=True)
        if asked is not None:
            write_whole(folder / FILE, json.dumps(asked, indent=1, ensure_ascii=False) + "\n")
        write_whole(folder / "README.md", model_card(out.resolve().name, trained_by, step_of(checkpoint), saved, asked))
    if trained_by is None:
        print("export: no run folder above the checkpoint: the card does not say how it was trained (--run FOLDER)")


if __name__ == "__main__":
    run_command(main)
