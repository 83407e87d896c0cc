"""OlympiadBench: the 675 open-ended English mathematics problems without images.

`final_answer` is a list of one text, which itself may hold several values (`is_multiple_answer`); `error`, where there
is one, is an absolute tolerance; `unit` is what the answer is measured in, and no part of it.
"""

import json

from fail2fix.data.sets.spec import Problem, PublicSet, Record, UnusableRowError


def read(record: Record) -> Problem:
    answers = record.get("final_answer")
    if not isinstance(answers, list) or len(answers) != 1 or not str(answers[0]).strip():
        raise UnusableRowError("its final_answer is not a list of one text")
    answer = str(answers[0]).strip()
    if error := record.fields.get("error"):
        answer = json.dumps({"answer": answer, "tolerance": float(str(error))})
    context = str(record.fields.get("context") or "").strip()
    question = record.text("question")
    return Problem(f"{context}\n\n{question}" if context else question, answer, str(record.get("id")))


SETS = (
    PublicSet(
        name="olympiadbench",
        hub_id="Hothan/OlympiadBench",
        revision="91184b52131e7fc9455fef848035173aea8cc01a",
        hub_config="OE_TO_maths_en_COMP",
        licence="Apache-2.0",
        splits={"train": 674},
        read=read,
        mirror={"train": ("olympiadbench.*", "math_eval/olympiadbench.*")},
        use="evaluation",
        traps=(
            "94 answers are several values in one text",
            "the hub's other configs have images or another language",
            "a mirror has 675 rows, one more than the hub",
        ),
    ),
)
