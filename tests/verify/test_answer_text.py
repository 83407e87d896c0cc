import re

import pytest

from fail2fix.verify.answer_text import MAX_RESPONSE_CHARS, ChannelName, find_answer
from fail2fix.verify.math_answer import judge
from tests.verify.checks import check

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
    assert find_answer("\\boxed{7}. The answer is in years. That is 8.", "boxed").others == ()
    assert find_answer("\\boxed{7}. The answer is 8. That is in years.", "boxed").others == ("8",)
    assert find_answer("The answer is approx. 7", "answer_line").text == "approx. 7"


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


@pytest.mark.parametrize("channel", ["auto", "boxed"])
def test_a_value_offered_behind_the_box_is_another_answer(channel: ChannelName) -> None:
    assert find_answer(r"\boxed{7} or 8", channel).others == ("8",)
    assert find_answer(r"\boxed{7}, or maybe -8", channel).others == ("-8",)
    assert find_answer(r"$\boxed{7}$ or $x^2$", channel).others == ("$x^2$",)
    assert find_answer(r"\boxed{7} or so I believe.", channel).others == ()
    assert find_answer(r"\boxed{7}. Alternatively, we solve the equation $x+1=8$.", channel).others == ()
    assert find_answer(r"\boxed{7}, alternatively $8$", channel).others == ("$8$",)
    assert find_answer(r"\boxed{7}", channel).others == ()
    assert check(r"So \boxed{\frac12}, or $0.5$ if you like.", "0.5").correct


WORKING = (
    "The answer is 4 for the first part.\nThen",
    "#### 2 cases\n",
    "A student claims that the answer is 9, but the sum is",
    "If Bob's answer is 3, then Ann's answer is 8. Hence",
    "<answer>3</answer> was my first try.\n",
)


@pytest.mark.parametrize("working", WORKING)
def test_what_the_working_says_does_not_count_where_the_box_is_declared(working: str) -> None:
    assert find_answer(rf"{working} \boxed{{7}}", "boxed").others == ()


def test_what_the_line_of_the_box_and_the_text_behind_it_say_counts() -> None:
    for text in (r"The answer is 8, I think \boxed{7}", r"\boxed{7}" + "\nAnswer: 8", r"\boxed{7} #### 8"):
        assert find_answer(text, "boxed").others == ("8",)


THINKING = [
    ("<think>\nAnswer: 9? No.\n</think>\n\n\\boxed{7}", "7"),
    ("Maybe \\boxed{8}.</think>The answer is \\boxed{7}.", "7"),
    ("[THINK]Or \\boxed{8}[/THINK]\\boxed{7}", "7"),
    ("<think>So \\boxed{7}", ""),
    ("<think>So \\boxed{7}</think>I could not decide.", ""),
    ("<seed:think>So \\boxed{7}, or", ""),
]


@pytest.mark.parametrize(("response", "text"), THINKING)
def test_only_the_text_after_thinking_is_read(response: str, text: str) -> None:
    answer = find_answer(response, "boxed")
    assert (answer.text, answer.others) == (text, ())


def test_a_box_without_braces_holds_a_number_or_a_letter() -> None:
    for text in (r"$\boxed 2$", r"$x=\boxed2.$", r"\boxed{2}"):
        assert find_answer(text, "boxed").text == "2"
    assert find_answer(r"\boxed x", "boxed").text == "x"
    assert find_answer(r"\boxed -2.5.", "boxed").text == "-2.5"


@pytest.mark.parametrize("answer", ["`$13$`", "`13`", "**`13`**", "'13'", '"13"'])
def test_marks_of_code_and_quotes_around_an_answer_say_nothing(answer: str) -> None:
    assert check(f"So 6+7.\n\nAnswer: {answer}", "13").correct
    assert not check(f"So 6+7.\n\nAnswer: {answer}", "12").correct


NOT_13 = """
the value is −13. | it is ±13 | it equals √13 | we get x^13 | so x ≠ 13 | Thus it is 13π | it is minus 13 | 13x
so it is - 13 | it is negative 13 | it is 5 + 13 | we get 20 minus 13 | it is 2 × 13 | 13 million people
it is 13 squared | so 5-13 | It is definitely not 13. | The value is at most 13 | Here y = 13 is not a solution.
It is less than 13. | It isn't 13. | 13 is wrong. | we get 13 or more | It can't be 13
**definitely not 13** | Answer: not 13 | it is not \\(13\\). | \\(13\\) is not possible.
The answer is definitely not the number 13 | the ratio is 5:13 | x ≥ 13 | the cube root of 13 | it exceeds 13
"""


@pytest.mark.parametrize("text", re.split(r" \| |\n", NOT_13.strip()))
def test_a_denied_bounded_or_signed_number_of_prose_is_another_answer(text: str) -> None:
    assert not check(text, "13").correct


THIRTEEN = """
So there are 13 apples. | the total is 13! | x = 13 | The result is **13 apples in all** | so the area is 13 m²
I got 13 (correct). | Therefore he needs 13 | The price is $13 | That makes 13, not 12, so he has 13.
The sum under these conditions is **13**.
"""


@pytest.mark.parametrize("text", re.split(r" \| |\n", THIRTEEN.strip()))
def test_a_number_of_prose_is_the_answer(text: str) -> None:
    assert check(text, "13").correct


EQUATIONS = [
    ("The circle has the equation \\[x^2+y^2=13.\\]", "13", "x^2+y^2=13."),
    ("Hence $f(n)=n$ for all positive integers.", "n", "f(n)=n"),
    ("The line is therefore given by **$y=2x$**.", "2x", "y=2x"),
]


@pytest.mark.parametrize(("response", "text", "equation"), EQUATIONS)
def test_the_equation_is_kept_whose_right_side_is_the_answer(response: str, text: str, equation: str) -> None:
    found = find_answer(response)
    assert (found.text, found.equation) == (text, equation)


def test_a_gold_equation_wants_the_whole_equation_and_others_its_right_side() -> None:
    circle, function, line = (response for response, _, _ in EQUATIONS)
    right = [(circle, "x^2+y^2=13"), (circle, "13"), (function, "f(x)=x"), (line, "y=2x"), (line, "2x")]
    wrong = [(circle, "z=13"), (function, "f(x)=2x"), (line, "z=2x"), ("So $x-1=4$ holds.", "x=4")]
    assert [judge(find_answer(response), gold) for response, gold in right] == [True] * len(right)
    assert not any(judge(find_answer(response), gold) for response, gold in wrong)


def test_no_response_is_paid_for_a_list_and_for_its_last_member() -> None:
    """A gold answer does not choose which boxes of a response count."""
    hedge = r"The candidates: \boxed{-1}, which one still has to check against the domain, and the other is \boxed{3}."
    assert judge(find_answer(hedge), "3") is True
    assert judge(find_answer(hedge), "-1, 3") is False


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
