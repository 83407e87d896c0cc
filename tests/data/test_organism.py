"""The small model made from nothing: its tokens, its chat template, its sizes, and what it refuses."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from transformers import AutoModelForCausalLM, AutoTokenizer

from fail2fix.data import organism
from fail2fix.data.tasks import chain, latin
from fail2fix.evaluate.settings import read_words
from fail2fix.guided.chats import first_difference
from fail2fix.method.prompts import CorrectionPromptBuilder, block_text
from fail2fix.method.templates import words_of

WORDS = Path(__file__).parents[2] / "configs" / "setup" / "organism_latin.yaml"
QUESTION = "Fill in the Latin square: 27?4/9???/4?72/??4?"
SMALL = ["--layers", "1", "--width", "16", "--inner", "16"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("latin")
    latin.main([str(folder), "--train", "40", "--held-out", "1"])
    return folder


def test_each_word_digit_and_mark_of_a_set_is_one_token(data: Path) -> None:
    words = words_of(read_words(WORDS))
    tokenizer = organism.make_tokenizer(organism.texts_of(data, WORDS, ["default", "verdict"]), 512)
    assert tokenizer.tokenize(QUESTION)[:8] == [
        "Fill",
        "\u0120in",
        "\u0120the",
        "\u0120Latin",
        "\u0120square",
        ":",
        "\u01202",
        "7",
    ]
    assert len(tokenizer.tokenize(QUESTION)) == 6 + 4 * 4 + 3
    prompt = block_text(QUESTION, "27", words.header, words.instruction)
    joined = "".join(tokenizer.tokenize(prompt)).replace("\u0120", " ").replace("\u010a", "\n")
    assert joined == prompt
    assert {"Attempt", "attempt", "Check", "\u0120again"} <= set(tokenizer.tokenize(prompt))


@given(text=st.text())
def test_any_text_survives_its_tokens(text: str) -> None:
    tokenizer = organism.make_tokenizer([QUESTION], 300)
    assert tokenizer.decode(tokenizer.encode(text, split_special_tokens=True)) == text


@pytest.mark.parametrize("template", ["default", "verdict"])
@pytest.mark.parametrize("setup", ["organism_latin", "organism_chain"])
def test_prompts_and_answers_fit_the_setup(setup: str, template: str, tmp_path: Path) -> None:
    config = OmegaConf.load(WORDS)
    config.merge_with(OmegaConf.load(WORDS.with_name(f"{setup}.yaml")))
    family, options = (latin, []) if setup == "organism_latin" else (chain, ["--steps", "5", "--high", "9"])
    family.main([str(tmp_path), "--train", "40", "--held-out", "1", *options])
    texts = organism.texts_of(tmp_path, WORDS, ["default", "verdict"])
    tokenizer = organism.make_tokenizer(texts, 512)
    words, most = words_of(read_words(WORDS, template)), config.data.max_prompt_length
    room = most + config.data.max_response_length + 64
    builder = CorrectionPromptBuilder(tokenizer, max_tokens=room, header=words.header, instruction=words.instruction)
    for question in texts[:40]:
        asked = [{"role": "user", "content": question}]
        ids = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_dict=False)
        answer = family.worked_solution(question)
        corrected = words.written(first_difference(family.corrupt(question, random.Random(0)), answer), answer)
        assert len(ids) <= most
        assert len(tokenizer.encode(answer)) < config.data.max_response_length
        assert len(tokenizer.encode(corrected)) < config.data.max_response_length
        assert builder.fits(len(ids))


def test_the_same_inputs_write_the_same_model_and_another_seed_another(data: Path, tmp_path: Path) -> None:
    for name, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        organism.main([str(tmp_path / name), "--data", str(data), "--seed", seed, *SMALL])
    weights, tokens = (
        [(tmp_path / name / file).read_bytes() for name in "abc"] for file in ("model.safetensors", "tokenizer.json")
    )
    assert weights[0] == weights[1] != weights[2]
    assert tokens[0] == tokens[1] == tokens[2]


def test_a_written_model_answers_in_its_chat_format(data: Path, tmp_path: Path) -> None:
    organism.main([str(tmp_path / "model"), "--data", str(data), *SMALL])
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    chat = [{"role": "user", "content": QUESTION}]
    prompt = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt")
    written = model.generate(**prompt, max_new_tokens=3, do_sample=False)
    assert prompt["input_ids"].shape[1] < written.shape[1]
    assert model.generation_config.eos_token_id == tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert organism.Shape().vocabulary >= len(tokenizer) == model.config.vocab_size


def test_the_default_has_about_a_million_parameters(data: Path) -> None:
    shape = organism.Shape()
    model = organism.make_model(organism.make_tokenizer(organism.texts_of(data), shape.vocabulary), shape)
    assert 1_000_000 <= model.num_parameters() <= 5_000_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--layers", "0"], "layers=0"),
        (["--vocabulary", "200"], "a vocabulary of 259"),
        (["--heads", "3"], "want heads a multiple of key_heads"),
        (["--head-size", "3"], "an even head size"),
        (["--corrections", "nowhere.yaml"], "--corrections nowhere.yaml: no such file"),
        (["--data", "nowhere"], "nowhere/train.parquet: no such file"),
    ],
)
def test_bad_input_ends_in_one_line(options: list[str], message: str, data: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as stopped:
        organism.main([str(tmp_path / "out"), "--data", str(data), *options])
    assert message in str(stopped.value)
    assert "\n" not in str(stopped.value)
    assert not (tmp_path / "out").exists()
