"""Answer a data file greedily in vLLM alone and print the answers: ``generate.py MODEL DATA``."""

import json
import sys

import pyarrow.parquet as parquet
from vllm import LLM, SamplingParams

if __name__ == "__main__":
    rows = parquet.read_table(sys.argv[2]).to_pylist()
    engine = LLM(sys.argv[1], dtype="float32", max_model_len=1024, max_num_seqs=96, enforce_eager=True)
    outputs = engine.chat([row["prompt"] for row in rows], SamplingParams(temperature=0, max_tokens=16), use_tqdm=False)
    # From the ids, as verl decodes: vLLM's own text lacks an unfinished character at the end.
    ids = [list(output.outputs[0].token_ids) for output in outputs]
    print(json.dumps({"answers": engine.get_tokenizer().batch_decode(ids, skip_special_tokens=True)}))
