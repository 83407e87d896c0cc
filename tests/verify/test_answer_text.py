import pytest

from fail2fix.verify.answer_text import MAX_RESPONSE_CHARS, find_answer

BOXES = [
    (r"\boxed{12}", "12"),
    (r"The answer is \boxed{12}.", "12"),
    (r"\boxed{3}" + "\nno, \n" + r"\boxed{12}", "12"),
    (r"First \boxed{3}, and after a rather long stretch of further reasoning here, \boxed{12}", "12"),
    (r"\boxed{8} or maybe \boxed{7}", "8, 7"),
    (r"\boxed{8}, \boxed{7}, \boxed{6}", "8, 7, 6"),
    (r"\boxed{7}, that is \boxed{7}", "7"),
    (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
    (r"\boxed {7}", "7"),
    (r"\fbox{7}", "7"),
    (r"\\boxed{7}", "7"),
    (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
    (r"\boxed{8 \text{ or } \boxed{7}}", r"8 \text{ or } {7}"),
    (r"\boxed{7} and then \boxed{8", "7"),
    (r"cut off: \boxed{7", ""),
    (r"}}} \boxed{7} }}", "7"),
    (r"{{ \boxed{7} ", "7"),
]


@pytest.mark.parametrize(("response", "content"), BOXES)
def test_the_last_box_is_the_answer(response: str, content: str) -> None:
    assert find_answer(response).text == content


def test_without_a_box_there_is_no_answer_where_the_box_is_declared() -> None:
    assert find_answer("The answer is 12.", "boxed").text == ""
    assert find_answer("So 12.", "answer_line").text == ""


LINES = [
    ("Answer: 12", "12"),
    ("**Final Answer:** 12", "12"),
    ("The final answer is $\\frac{1}{2}$. I hope it is correct.", r"\frac{1}{2}"),
    ("first 3\n#### 1,200", "1,200"),
    ("<answer>12</answer>", "12"),
    ("Answer: 8\n\nWait.\n\nAnswer: 7", "7"),
    ("Answer: the values are $x = 5$ and $x = -2$.", "5, -2"),
]


@pytest.mark.parametrize(("response", "text"), LINES)
@pytest.mark.parametrize("channel", ["answer_line", "auto"])
def test_the_last_answer_line_is_the_answer(response: str, text: str, channel: str) -> None:
    assert find_answer(response, channel).text.rstrip(".") == text  # type: ignore[arg-type]


PROSE = [
    ("We have 3 cows.\n\nSo there are 12 legs in all.", "12"),
    ("Hence \\(x = 5\\) and so \\[y = 2 + 3 = 5\\]", "5"),
    ("The units digit of \\(T^{3}\\) is **5**.", "5"),
    ("The solutions are \\(m = 6\\) and \\(m = -2\\).", "6, -2"),
    (r"\frac{1}{2}", r"\frac{1}{2}"),
    ("no idea", ""),
    ("odd", "odd"),
    ("I could not find anything at all here", ""),
]


@pytest.mark.parametrize(("response", "text"), PROSE)
def test_prose_is_read_from_its_last_paragraph(response: str, text: str) -> None:
    assert find_answer(response).text == text


def test_what_another_channel_says_is_part_of_the_answer() -> None:
    assert find_answer("\\boxed{8}\nAnswer: 7").others == ("7",)
    assert find_answer("Answer: 8\n\\boxed{7}").others == ("8",)
    assert find_answer("<final_answer>8</final_answer> and \\boxed{7}", "boxed").others == ("8",)
    assert find_answer("Answer: \\boxed{7}").others == ()
    assert find_answer("\\boxed{7}\nAnswer: seven of the cows were sold").others == ()


def test_working_that_ends_in_the_box_is_no_other_answer() -> None:
    for working in (
        r"$13-16=\boxed{7}$",
        r"$3! \times 5! = \boxed{7}$",
        r"$7 + (-2) + 2 = \boxed{7}$.",
        r"$14 / 2 = \boxed{7}$",
    ):
        assert find_answer(f"So the answer is {working}").others == ()
    for other in (r"$8 = \boxed{7}$", r"8, I think \boxed{7}", r"8 - or \boxed{7}", r"$8/9 \boxed{7}$"):
        assert find_answer(f"So the answer is {other}").others != ()


def test_a_second_answer_behind_the_first_is_a_hedge() -> None:
    assert find_answer(r"\boxed{7} or 8").hedged
    assert find_answer(r"\boxed{7}, or maybe 8").hedged
    assert not find_answer(r"\boxed{7} or so I believe.").hedged
    assert not find_answer(r"\boxed{7}").hedged


def test_a_box_before_the_tail_is_not_seen() -> None:
    assert find_answer(r"\boxed{12}" + " " * MAX_RESPONSE_CHARS).text == ""


@pytest.mark.parametrize(
    "unit",
    [
        r"\boxed{",
        "{",
        "}",
        r"\boxed{}",
        "\\",
        r"\boxed{7} or ",
        "answer: ",
        "$",
        "$1",
        r"is \(",
        "**",
        "1,",
        "is 1 ",
        "answer is 1+2=",
        "((((",
    ],
)
def test_the_answer_of_hostile_braces_is_found_in_linear_time(unit: str) -> None:
    # Quadratic scanning of 20,000 characters would take seconds, a thousand of them minutes.
    for _ in range(100):
        find_answer(unit * MAX_RESPONSE_CHARS)


def test_answers_can_always_be_encoded() -> None:
    find_answer("\\boxed{\ud800}").text.encode()
