"""A random two-layer Llama with a byte-level tokenizer and a chat template, built from nothing in a second."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from fail2fix.data import organism

TEXT = [f"What is {a} + {b}? Answer with the number only. {a + b}" for a in range(30) for b in range(30)]


SHAPE = organism.Shape(layers=2, inner=256, vocabulary=400, tied=False)


def make_tokenizer() -> PreTrainedTokenizerFast:
    return organism.make_tokenizer(TEXT, SHAPE.vocabulary, pieces=None)


def make_model(folder: Path, seed: int = 0) -> Path:
    """Write model and tokenizer."""
    return organism.make(folder, make_tokenizer(), SHAPE, seed)


def teach(folder: Path, lessons: list[tuple[str, str]], steps: int = 300) -> float:
    """Train the model of `folder` until it recites each lesson's second text after its first; the last loss, nats."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    prompts = [_prompt(tokenizer, question) for question, _ in lessons]
    answers = [tokenizer.encode(answer) + [tokenizer.eos_token_id] for _, answer in lessons]
    width = max(len(prompt) + len(answer) for prompt, answer in zip(prompts, answers, strict=True))
    ids = torch.full((len(lessons), width), tokenizer.pad_token_id)
    labels = torch.full_like(ids, -100)
    for row, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        end = len(prompt) + len(answer)
        ids[row, :end] = torch.tensor(prompt + answer)
        labels[row, len(prompt) : end] = torch.tensor(answer)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(steps):
        loss = model(ids, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.to(torch.bfloat16).save_pretrained(folder)
    return loss.item()


def _prompt(tokenizer: PreTrainedTokenizerFast, question: str) -> list[int]:
    chat = [{"role": "user", "content": question}]
    return tokenizer.encode(tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False))
