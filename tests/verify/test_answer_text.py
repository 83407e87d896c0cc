import pytest

from fail2fix.verify.answer_text import MAX_RESPONSE_CHARS, find_answer, same_text

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
    answer = find_answer(response)
    assert answer.boxed
    assert answer.text == content


def test_a_response_without_a_box_is_read_from_its_tail() -> None:
    answer = find_answer("x" * MAX_RESPONSE_CHARS + "the answer is 12.")
    assert not answer.boxed
    assert len(answer.text) == MAX_RESPONSE_CHARS
    assert answer.text.endswith("12.")


def test_a_box_before_the_tail_is_not_seen() -> None:
    assert not find_answer(r"\boxed{12}" + " " * MAX_RESPONSE_CHARS).boxed


@pytest.mark.parametrize("unit", [r"\boxed{", "{", "}", r"\boxed{}", "\\", r"\boxed{7} or "])
def test_the_answer_of_hostile_braces_is_found_in_linear_time(unit: str) -> None:
    # Quadratic scanning of 20,000 characters would take seconds, a thousand of them minutes.
    for _ in range(100):
        find_answer(unit * MAX_RESPONSE_CHARS)


def test_same_text_is_exact_and_needs_a_box() -> None:
    assert same_text(find_answer(r"\boxed{ 12. }"), "$12$")
    assert not same_text(find_answer(r"\boxed{12.0}"), "12")
    assert not same_text(find_answer("12"), "12")
    assert not same_text(find_answer(r"\boxed{}"), "")


def test_answers_can_always_be_encoded() -> None:
    find_answer("\\boxed{\ud800}").text.encode()
