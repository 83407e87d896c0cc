"""DAPO-Math-17k, in the processed form: English, each problem once or nearly so, integer answers."""

from fail2fix.data.sets.gold_text import integer
from fail2fix.data.sets.spec import Problem, PublicSet, Record

INSTRUCTION = "\n\nPlease reason step by step"
"""A mirror appends what its own prompt asked for; that is no part of the problem."""


def read(record: Record) -> Problem:
    problem = record.text("prompt.0.content", "prompt").partition(INSTRUCTION)[0]
    return Problem(problem, integer(record.text("solution", "reward_model.ground_truth")))


SETS = (
    PublicSet(
        name="dapo",
        hub_id="open-r1/DAPO-Math-17k-Processed",
        revision="31dd309567e3da778038cc87d868b6097a3ccf68",
        hub_config="en",
        licence="none declared (the original set: Apache-2.0)",
        splits={"train": 14_116},
        read=read,
        mirror={"train": ("dapo/*", "dapo_math_17k/*")},
        use="training",
        held_out=500,
        traps=(
            "the column `solution` holds the answer",
            "the original set repeats each problem about a hundred times: this is its processed form",
            "8 of AMC23's 40 problems, 7 of MATH500, 10 of OlympiadBench, 1 of AIME26 and 976 of MATH test are in it",
        ),
    ),
)
