"""DeepScaleR-Preview: AIME, AMC, Omni-MATH and STILL problems; one split, of which 500 are held out here."""

from fail2fix.data.sets.spec import Problem, PublicSet, Record, UnusableRowError


def read(record: Record) -> Problem:
    answer = record.get("answer")
    if not isinstance(answer, str) or not answer.strip():
        raise UnusableRowError("it has no answer")
    return Problem(record.text("problem", "prompt"), answer.strip())


SETS = (
    PublicSet(
        name="deepscaler",
        hub_id="agentica-org/DeepScaleR-Preview-Dataset",
        revision="b6ae8c60f5c1f2b594e2140b91c49c9ad0949e29",
        licence="MIT",
        splits={"train": 40_315},
        read=read,
        mirror={"train": ("deepscaler/*", "deepscaler_preview/*")},
        use="training",
        held_out=500,
        traps=(
            "6 rows have no answer (hub discussion 4)",
            "221 problems occur with different answers, some only in spelling",
            "7 problems of MATH500, 62 of MATH test and 1 of OlympiadBench are in it",
            "answers: 23,201 integers, the rest LaTeX of every kind; 48 are letters of choices that the problem lists",
        ),
    ),
)
