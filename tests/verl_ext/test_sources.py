"""Where attempts come from: rollouts in a file are the rollouts, and every source replays what it promises."""

from __future__ import annotations

import datetime
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as parquet
import pytest
import torch
from omegaconf import DictConfig, OmegaConf
from verl import DataProto

from fail2fix.method.config import ReplayConfig
from fail2fix.method.errors import InputError
from fail2fix.method.prompts import CorrectionPromptBuilder
from fail2fix.method.selection import select_attempts
from fail2fix.run.provenance import check_provenance
from fail2fix.verl_ext.generation import drawn_prompts
from fail2fix.verl_ext.replays import build_replays, correction_requests
from fail2fix.verl_ext.requests import Requests, objects
from fail2fix.verl_ext.sources import source_class
from fail2fix.verl_ext.sources.lagged import LaggedAttempts
from fail2fix.verl_ext.sources.offline import OfflineAttempts
from fail2fix.verl_ext.sources.online import OnlineAttempts
from fail2fix.verl_ext.stream import Reading, Stream
from fail2fix.verl_ext.stream_file import check_storable, read_provenance, read_stream, write_stream
from tests.e2e.support.tiny import make_tokenizer

TOKENIZER = make_tokenizer()
PROMPT, RESPONSE = 64, 24
HOSTILE = ["</attempt> <|im_end|>", "\x00 nul", '{"dtype": "int64"}', "12", "", "\ud55c 13"]


def pool(problems: int = 6, rollouts: int = 4, first: int = 0) -> Stream:
    """Rollouts as the trainer holds them, hostile texts among them."""
    texts = [f"What is {first + p} + 1?" for p in range(problems)]
    n = problems * rollouts
    prompts, responses = torch.zeros(n, PROMPT, dtype=torch.long), torch.zeros(n, RESPONSE, dtype=torch.long)
    mask, scores = torch.zeros(n, PROMPT + RESPONSE, dtype=torch.long), torch.zeros(n, RESPONSE)
    correct = [(row * 7) % 3 == 0 for row in range(n)]
    for row in range(n):
        asked = TOKENIZER(texts[row // rollouts])["input_ids"]
        answer = TOKENIZER(f"{HOSTILE[row % len(HOSTILE)]} {row}")["input_ids"][: RESPONSE - 1]
        prompts[row, PROMPT - len(asked) :] = torch.tensor(asked)
        responses[row, : len(answer)] = torch.tensor(answer)
        mask[row, PROMPT - len(asked) : PROMPT + len(answer)] = 1
        scores[row, len(answer) - 1] = float(correct[row]) + row / 100
    head = {
        "uid": [f"u{first + row // rollouts}" for row in range(n)],
        "data_source": ["test"] * n,
        "reward_model": [{"ground_truth": str(row // rollouts)} for row in range(n)],
        "extra_info": [{"index": np.int64(row), "tags": ["a", None]} for row in range(n)],
    }
    request = head | {"raw_prompt": [[{"role": "user", "content": texts[row // rollouts]}] for row in range(n)]}
    verdicts = {
        "verdict": [int(c) for c in correct],
        "pred": [f"p{row}" for row in range(n)],
        "verify_status": ["timeout" if row == 5 else "ok" for row in range(n)],
        "plain_reward": scores.sum(-1).tolist(),
        "shaped_reward": scores.sum(-1).tolist(),
    }
    columns = {name: objects(values) for name, values in (request | verdicts).items()}
    tensors = {"prompts": prompts, "responses": responses, "attention_mask": mask, "rm_scores": scores}
    rows = DataProto.from_dict(tensors=tensors, non_tensors=columns)
    halves = [{name: objects(values) for name, values in part.items()} for part in (head, request)]
    dummy = {"dummy_tensor": torch.zeros(n, 1, dtype=torch.uint8)}
    kept = DataProto.from_dict(tensors=dummy, non_tensors=halves[0])
    requests = Requests(kept, DataProto(non_tensor_batch=halves[1]))
    return Stream.of("base", rows, requests, rollouts, Reading({0}))


def replayed(stream: Stream, step: int = 3, order: random.Random | None = None) -> list[tuple[Any, ...]]:
    """What a step replays of a pool: attempts, prompts, and the rows their corrections are asked for."""
    groups = stream.prompt_groups(lambda tokens: True)
    if order:
        order.shuffle(groups)
    selection = select_attempts(groups, 5, 0.4, ReplayConfig(), seed=0, step=step)
    builder = CorrectionPromptBuilder(TOKENIZER, max_tokens=512)
    replays, _ = build_replays(stream, selection.attempts, builder)
    rows = correction_requests(replays).request.non_tensor_batch
    return sorted(
        (str(uid), r.attempt.correct, bytes(np.array(r.prompt.ids)), str(info["fail2fix"]), str(raw))
        for r, uid, info, raw in zip(replays, rows["uid"], rows["extra_info"], rows["raw_prompt"], strict=True)
    )


@pytest.fixture
def stored(tmp_path: Path) -> tuple[Stream, Path]:
    stream, path = pool(), tmp_path / "pool.parquet"
    write_stream(path, stream, {"model": "m", "tokenizer": "t", "seed": 0})
    return stream, path


def test_rollouts_in_a_file_are_the_rollouts(stored: tuple[Stream, Path]) -> None:
    stream, path = stored
    read = read_stream(path, {0})
    mine, theirs = read.rollouts, stream.rollouts
    assert (mine.group_size, mine.groups, mine.problems) == (theirs.group_size, theirs.groups, theirs.problems)
    assert (mine.correct == theirs.correct).all()
    assert (mine.cut_off == theirs.cut_off).all()
    np.testing.assert_allclose(mine.reward, theirs.reward)
    assert mine.answers == theirs.answers
    assert (mine.ended_in("timeout") == theirs.ended_in("timeout")).all()
    for name in ("prompts", "responses", "attention_mask"):
        assert torch.equal(read.rows.batch[name], stream.rows.batch[name]), name
    assert torch.equal(read.requests.head.batch["dummy_tensor"], stream.requests.head.batch["dummy_tensor"])
    assert read.requests.head.non_tensor_batch["extra_info"][7] == {"index": 7, "tags": ["a", None]}


@pytest.mark.parametrize(
    "value",
    [
        datetime.datetime(2024, 8, 1, 12, tzinfo=datetime.UTC), datetime.date(2024, 8, 1), datetime.time(1, 2, 3, 4),
        datetime.timedelta(days=-1, microseconds=1), Decimal("0.10"), b"\x00\xff", [Decimal(1), {"at": b"x"}],
        {"fail2fix.type": "os.system", "value": "ls"}, {"fail2fix.type": "bytes"},
    ],
)  # fmt: skip
def test_values_that_json_lacks_come_back_from_a_file_as_they_are(tmp_path: Path, value: Any) -> None:
    stream = pool()
    held = np.empty(len(stream.rows), dtype=object)
    held[:] = [value] * len(held)
    stream.requests.request.non_tensor_batch["of_the_user"] = held
    check_storable({"of_the_user": value})
    write_stream(tmp_path / "x.parquet", stream, {})
    found = read_stream(tmp_path / "x.parquet", {0}).requests.request.non_tensor_batch["of_the_user"]
    assert [(type(each), each) for each in found] == [(type(value), value)] * len(held)


def test_a_row_that_no_file_can_hold_is_refused_by_its_column() -> None:
    with pytest.raises(InputError, match="column 'figure' holds a object"):
        check_storable({"prompt": [], "figure": [object()]})


def test_what_is_replayed_from_a_file_is_byte_for_byte_what_was_written(stored: tuple[Stream, Path]) -> None:
    stream, path = stored
    assert replayed(read_stream(path, {0})) == replayed(read_stream(path, {0})) == replayed(stream)
    assert replayed(stream, step=3) != replayed(stream, step=4)


@pytest.mark.parametrize("seed", range(5))
def test_the_order_in_which_groups_finish_changes_nothing(seed: int) -> None:
    assert replayed(pool(), order=random.Random(seed)) == replayed(pool())


def test_a_file_says_where_it_comes_from_and_a_run_that_differs_is_refused(stored: tuple[Stream, Path]) -> None:
    _, path = stored
    assert read_provenance(path)["model"] == "m"
    check_provenance(read_provenance(path), {"tokenizer": "t", "seed": 0}, "fail2fix.offline.file=x", ("tokenizer",))
    with pytest.raises(InputError, match="fail2fix.offline.file=.*another tokenizer"):
        check_provenance(read_provenance(path), {"tokenizer": "other"}, "fail2fix.offline.file=x", ("tokenizer",))


@pytest.mark.parametrize("damage", ["text", "foreign", "cut"])
def test_a_file_that_is_not_ours_is_refused_by_name(stored: tuple[Stream, Path], damage: str) -> None:
    _, path = stored
    if damage == "text":
        path.write_text("not parquet")
    elif damage == "foreign":
        parquet.write_table(parquet.read_table(path).replace_schema_metadata({}), path)
    else:
        path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="pool.parquet"):
        read_stream(path, {0})


def test_what_no_file_can_hold_is_refused_by_its_column(tmp_path: Path) -> None:
    stream = pool()
    stream.requests.request.non_tensor_batch["image"] = objects([object()] * len(stream.rows))
    with pytest.raises(InputError, match="column 'image'"):
        write_stream(tmp_path / "pool.parquet", stream, {})
    assert not list(tmp_path.iterdir()), "no half a file stays behind"


def config(tmp_path: Path, **section: Any) -> DictConfig:
    return OmegaConf.create(
        {
            "fail2fix": {"run": {"root": str(tmp_path), "name": "r"}} | section,
            "trainer": {"experiment_name": "e"},
            "data": {"train_batch_size": 2},
        }
    )


class Starting:
    """The trainer's side of a source: counts how often the starting model is asked."""

    provenance: dict[str, object] = {
        "tokenizer": "t", "train_files": "d", "model": "m", "rollouts": 4, "temperature": 1.0,
    }  # fmt: skip

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.charged: list[tuple[int, float]] = []

    def initial_rollouts(self, problems: int) -> Stream:
        self.asked.append(problems)
        return pool(problems)

    def charge(self, stream: Stream, seconds: float) -> None:
        self.charged.append((len(stream.rollouts), seconds))


def test_online_replays_the_steps_own_rollouts(tmp_path: Path) -> None:
    source, base = OnlineAttempts(config(tmp_path)), pool()
    assert source.waits_for_base
    assert source.attempts(base) is base


def test_lagged_replays_the_step_before_and_first_nothing(tmp_path: Path) -> None:
    source, first, second = LaggedAttempts(config(tmp_path)), pool(first=0), pool(first=50)
    assert not source.waits_for_base
    assert source.attempts(None) is None
    source.end_step(first)
    assert source.attempts(None) is first
    source.end_step(second)
    assert source.attempts(None) is second


def test_lagged_resumes_with_its_attempts(tmp_path: Path) -> None:
    source, resumed = LaggedAttempts(config(tmp_path)), LaggedAttempts(config(tmp_path))
    source.end_step(pool())
    source.save(tmp_path)
    resumed.load(tmp_path)
    attempts = resumed.attempts(None)
    assert attempts is not None
    assert replayed(attempts) == replayed(pool())
    fresh = LaggedAttempts(config(tmp_path))
    fresh.load(tmp_path / "nowhere")
    assert fresh.attempts(None) is None


def test_offline_asks_the_starting_model_once_and_replays_the_same_bytes_ever_after(tmp_path: Path) -> None:
    policy = Starting()
    first, again = OfflineAttempts(config(tmp_path)), OfflineAttempts(config(tmp_path))
    first.begin(policy)
    again.begin(policy)
    assert policy.asked == [8], "4 B problems, once"
    (rollouts, seconds), later = policy.charged
    assert rollouts == 32
    assert seconds > 0
    assert later == (rollouts, seconds), "a run that reads the pool pays for it too"
    pools = [source.attempts(None) for source in (first, again)]
    assert replayed(pools[0]) == replayed(pools[1])  # type: ignore[arg-type]
    assert (tmp_path / "e" / "r" / "offline_pool.parquet").exists()


@pytest.mark.parametrize("other", [{"model": "n"}, {"rollouts": 8}, {"temperature": 0.7}, {"train_files": "e"}])
def test_a_pool_of_another_start_is_refused(tmp_path: Path, other: dict[str, object]) -> None:
    policy = Starting()
    OfflineAttempts(config(tmp_path)).begin(policy)
    policy.provenance = policy.provenance | other
    with pytest.raises(InputError, match=f"another {next(iter(other))}"):
        OfflineAttempts(config(tmp_path)).begin(policy)


def test_offline_pools_can_be_shared_and_sized(tmp_path: Path) -> None:
    policy, shared = Starting(), str(tmp_path / "shared.parquet")
    OfflineAttempts(config(tmp_path, offline={"file": shared, "prompts": 3})).begin(policy)
    assert policy.asked == [3]
    assert Path(shared).exists()


def test_a_source_of_ones_own_is_one_dotted_path() -> None:
    assert source_class(ReplayConfig(source="online")) is OnlineAttempts
    own = ReplayConfig(source="fail2fix.verl_ext.sources.lagged.LaggedAttempts")
    assert source_class(own) is LaggedAttempts


@pytest.mark.parametrize(
    "name", ["onlin", "fail2fix.nowhere.X", "fail2fix.verl_ext.sources.source_class", "math.floor"]
)
def test_an_unknown_source_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(InputError, match=f"fail2fix.replay.source={name}: ") as refused:
        source_class(ReplayConfig(source=name))
    assert "\n" not in str(refused.value)


class Rows(list):
    """A map-style data set."""


def test_problems_drawn_beside_the_data_loader_depend_on_their_purpose_alone() -> None:
    rows = Rows({"raw_prompt": f"problem {i}", "dummy_tensor": torch.zeros(1)} for i in range(50))

    def drawn(*purpose: object) -> list[str]:
        return drawn_prompts(rows, 7, *purpose).non_tensor_batch["raw_prompt"].tolist()

    assert drawn(0, "refill", 3, 2) == drawn(0, "refill", 3, 2)
    assert len(set(drawn(0, "refill", 3, 2))) == 7
    assert drawn(0, "refill", 3, 2) != drawn(0, "refill", 3, 3)
    assert len(drawn_prompts(rows, 500, 0)) == 50
