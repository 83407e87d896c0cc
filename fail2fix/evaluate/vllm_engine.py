"""vLLM in this process: prompts as token ids, a seed a request, each batch from an empty prefix cache.

An answer depends on its batch alone, so a resumed evaluation gives the same result as an uninterrupted one.
"""

import os
from collections.abc import Sequence
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec
from typing import Any

from fail2fix.evaluate.prompts import Completion, Finish, Request, TokenPrompts
from fail2fix.evaluate.settings import Settings
from fail2fix.method.errors import InputError, reading
from fail2fix.verl_ext.environment import set_defaults


class VllmEngine:
    """Raises `InputError` where vLLM is not installed or the model cannot be loaded."""

    def __init__(self, settings: Settings) -> None:
        if find_spec("vllm") is None:
            raise InputError("vLLM is not installed: install the project's lock file, or give --endpoint of a service")
        options = _cpu_options()
        from transformers import AutoTokenizer
        from vllm import LLM

        with reading(f"--model {settings.model}: cannot be served", OSError, ValueError, TypeError, RuntimeError):
            self._tokenizer = AutoTokenizer.from_pretrained(settings.model, trust_remote_code=False)
            # "vllm": answers must not depend on sampling defaults in the model's folder.
            self.llm = LLM(
                settings.model,
                dtype=settings.dtype,  # type: ignore[arg-type]
                max_model_len=settings.max_model_len,
                tensor_parallel_size=settings.tensor_parallel,
                generation_config="vllm",
                seed=settings.seed,
                **options | settings.engine_options,
            )
        self._room = self.llm.llm_engine.model_config.max_model_len
        longest = max(sampling.max_tokens for sampling in settings.sampling.values())
        # Prompts get half of the model's window where it cannot hold the longest answer too.
        self.prompts = TokenPrompts(self._tokenizer, settings, max(self._room - longest, self._room // 2))

    def generate(self, requests: Sequence[Request], label: str) -> list[Completion]:
        from tqdm import tqdm
        from vllm import SamplingParams, TokensPrompt

        prompts, samplings = [], []
        for request in requests:
            ids, given = request.prompt.ids or [], request.sampling
            prompts.append(TokensPrompt(prompt_token_ids=ids))
            samplings.append(
                SamplingParams(
                    temperature=given.temperature,
                    top_p=given.top_p,
                    max_tokens=min(given.max_tokens, self._room - len(ids)),
                    seed=request.seed,
                    detokenize=False,
                )
            )
        self.llm.reset_prefix_cache()
        outputs = self.llm.generate(
            prompts,
            samplings,
            # vLLM first draws a bar over the prompts, with positional arguments: disable that one.
            use_tqdm=lambda *prompts, **given: tqdm(*prompts, **given | {"desc": label, "disable": bool(prompts)}),
        )
        return [self._completion(output) for output in outputs]

    def _completion(self, output: Any) -> Completion:
        answer = output.outputs[0]
        ids = list(answer.token_ids)
        finish: Finish = "length" if answer.finish_reason == "length" else "stop"
        # As verl decodes: vLLM's own text lacks an unfinished character at the end.
        text = self._tokenizer.decode(ids, skip_special_tokens=True)
        return Completion(text, len(ids), len(output.prompt_token_ids), finish, ids)

    def describe(self) -> dict[str, Any]:
        config = self.llm.llm_engine.model_config
        return {"name": "vllm", "dtype": str(config.dtype), "max_model_len": self._room}


def _cpu_options() -> dict[str, Any]:
    """Options of a vLLM that is built for CPUs, {} of others; sets the environment before its import."""
    if not any("cpu" in name or "cpu" in version(name) for name in packages_distributions()["vllm"]):
        return {}
    os.environ.setdefault("VERL_PLATFORM", "cpu")
    set_defaults()
    # A chunked prompt rewinds its request's random numbers, which crashes vLLM on a CPU.
    return {"enforce_eager": True, "max_num_seqs": 64, "enable_chunked_prefill": False}
