"""The HTML report: whole for whatever a run left, and the same elements whatever its texts say."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from faults.attack_text import HARMLESS, hostile_texts

from fail2fix.console.printable import printable
from fail2fix.report.__main__ import main
from fail2fix.report.at_end import PAGE, draw_at_end
from fail2fix.report.examples import ANSWER_CHARS, PROBLEM_CHARS
from fail2fix.report.run_data import read_run, shortened
from tests.report.made_up import Page, metrics, page_of, write_lines, write_run
from tests.tiers import heavy_where

TITLES = ("Summary", "Findings", "Curves", "Attempts and corrections", "Accounting", "Settings and versions")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "quickstart" / "first")


@pytest.fixture
def bare(run: Path) -> Path:
    """A run without a metric, so that no picture is drawn."""
    write_lines(run / "metrics.jsonl", [{"step": 1}])
    return run


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of ``run``."""
    return page_of(write_run(tmp_path_factory.mktemp("runs") / "quickstart" / "first"))


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The page of two runs; the second has another batch size, and a replay ratio at its bound."""
    folder = tmp_path_factory.mktemp("two")
    other = write_run(folder / "other" / "second", fail2fix__replay__rho=0.8)
    (other / "config.yaml").write_text("data: {train_batch_size: 16}\nfail2fix: {seed: 0}\n")
    return Page(page_of(write_run(folder / "quickstart" / "first"), other))


def test_one_page_holds_everything_about_a_run(html: str) -> None:
    page = Page(html)
    words = " ".join(page.text.split())
    for expected in (
        "quickstart/first",
        "25.0 % [6.2, 43.8], step 0",
        "75.0 % [50.0, 93.8], step 4",
        "Held-out fix rate, after",
        "16 25.0 %",
        "Fixed: a wrong attempt, a correct correction",
        "verl 0.9.1",
        "data.train_batch_size 8",
        *TITLES,
    ):
        assert expected in words
    assert len(page.quoted) == 3 * 3 * 10
    assert page.text.count("wanted") == page.text.count("effective") == 1  # legends are text


def test_two_runs_stand_beside_each_other(two: Page) -> None:
    words = " ".join(two.text.split())
    assert "A: quickstart/first" in words
    assert "B: other/second" in words
    assert "data.train_batch_size 8 16" in words
    assert words.count("at its upper bound") == 1
    assert len(two.quoted) == 2 * 3 * 3 * 10
    differing = [element for element in two.elements if element[:2] == ("start", "tr") and element[2]]
    assert differing == [("start", "tr", (("class", "differs"),))]


def test_the_page_asks_for_nothing_outside(html: str) -> None:
    page = Page(html)
    tags = {element[1] for element in page.elements if element[0] == "start"}
    assert tags.isdisjoint(
        {"script", "link", "img", "iframe", "object", "embed", "form", "base", "image", "foreignObject"}
    )
    names = {name for element in page.elements if element[0] == "start" for name, _ in element[2]}
    assert not any(name.startswith("on") or name in ("src", "srcset") for name in names)
    targets = [v for e in page.elements if e[0] == "start" for n, v in e[2] if n in ("href", "xlink:href")]
    assert targets
    assert all(target.startswith("#") for target in targets)
    assert "url(http" not in html
    assert "@import" not in html
    [policy] = [dict(e[2])["content"] for e in page.elements if e[:2] == ("start", "meta") and "content" in dict(e[2])
                and dict(e[2]).get("http-equiv") == "Content-Security-Policy"]  # fmt: skip
    assert policy.startswith("default-src 'none'")


def test_names_in_a_page_are_unique(two: Page) -> None:
    """Two elements of one name would take each other's marks and clips."""
    names = [value for e in two.elements if e[0] == "start" for name, value in e[2] if name == "id"]
    assert len(names) == len(set(names))


# ------------------------------------------------------------------------------------------------ hostile texts

EACH = 2 * 15 * 5 + 7  # texts of a page


def page_with(folder: Path, texts: Sequence[str]) -> Page:
    """The page of a run with these texts in every place where a run's files hold text."""
    given = iter(texts)
    run = write_run(folder / "run", steps=2, each=5, texts=given)
    counts = dict.fromkeys(("fixed", "broken", "still_wrong"), 5.0)
    lines = [{"step": n} | {f"fail2fix/transition/{name}": value for name, value in counts.items()} for n in (1, 2)]
    write_lines(run / "metrics.jsonl", [lines[0] | {f"actor/{next(given)}": None}, lines[1]])
    model = {"model": {"path": next(given)}, "rollout": {"n": next(given)}}
    config = {"actor_rollout_ref": model, "data": {"train_files": [next(given)]}}
    (run / "config.yaml").write_text(json.dumps(config))
    versions = {"packages": {"verl": next(given)}, "commit": next(given), "platform": next(given)}
    (run / "versions.json").write_text(json.dumps(versions))
    return Page(page_of(run))


@pytest.mark.parametrize("number", [300, pytest.param(10_000, marks=pytest.mark.heavy)])
def test_hostile_texts_stay_texts(tmp_path: Path, number: int) -> None:
    """The elements are those of harmless ones, and problems and answers are quoted whole."""
    plain = page_with(tmp_path, [HARMLESS] * EACH)
    texts = list(hostile_texts(number + EACH - number % EACH, seed=21))
    for start in range(0, len(texts), EACH):
        batch = json.loads(json.dumps(texts[start : start + EACH]))  # two halves of a character become one
        page = page_with(tmp_path, batch)
        assert page.elements == plain.elements
        wanted = [shortened(f"user\n{text}\nassistant", PROBLEM_CHARS) for text in batch[:150:5]]
        wanted += [shortened(text.strip(), ANSWER_CHARS) for text in batch[1:150:5] + batch[2:150:5]]
        assert sorted(page.quoted) == sorted(wanted)


NAMES = ("<script>alert(1)<", "{{ 7 * 7 }}{% raw %}", "a & b &lt;", "' onload='x", "$x^2$ \u202e", "\x1b[2J")


@pytest.mark.parametrize("name", heavy_where(NAMES, NAMES[2:]))
def test_a_hostile_name_of_a_run_stays_text(bare: Path, name: str) -> None:
    plain = Page(page_of(bare))
    page = Page(page_of(bare.rename(bare.parent / name)))
    assert page.elements == plain.elements
    assert f"quickstart/{printable(name)}" in page.text


def test_no_variable_of_the_environment_gets_into_a_page(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "canary")
    (bare / "config.yaml").write_text("data: {train_files: '${oc.env:HF_TOKEN}'}\n")
    assert "canary" not in page_of(bare)


# ------------------------------------------------------------------------------------- whatever a run left behind


def only(*names: str) -> Callable[[Path], None]:
    """Removes all files of a run but these."""

    def change(run: Path) -> None:
        for path in run.iterdir():
            if path.name not in names:
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    return change


def lines(*rows: dict[str, Any]) -> Callable[[Path], None]:
    """Replaces the metrics of a run."""
    return lambda run: write_lines(run / "metrics.jsonl", rows)


def resumed(run: Path) -> None:
    (run / "config.resume-2.yaml").write_text("{}")
    (run / "metrics.superseded-20260101-120000.jsonl").write_text(json.dumps(metrics(3)) + "\n")
    (run / "finished").unlink()


NAN, INFINITE = float("nan"), float("inf")
GRPO = {name: value for name, value in metrics(1).items() if "/base/" in name or "timing" in name}
LEFT: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "metrics alone": (only("metrics.jsonl"), ("has not finished", "There are none in the run's files.")),
    "no training step": (lines({"step": 0}), ("There is no training step yet.", "Nothing was measured.")),
    "one step": (lines(metrics(1)), ("Training steps 1", "step 1", "Step 1, f2f-1-0-0")),
    "no corrections": (lines(GRPO | {"step": 1}, GRPO | {"step": 2}), ("no corrections in training",)),
    "nothing known": (lines({"step": 1}, {"step": 2}), ("Training steps 2",)),
    "null": (lines(dict.fromkeys(metrics(1)) | {"step": 1}, metrics(2)), ("not finite in up to 1 of 2 steps",)),
    "nan": (lines(dict.fromkeys(metrics(1), NAN) | {"step": 1}), ("not finite in up to 1 of 1 steps",)),
    "infinite": (lines(dict.fromkeys(metrics(1), INFINITE) | {"step": 1}), ("not finite in up to 1 of 1 steps",)),
    "huge": (lines(dict.fromkeys(metrics(1), 10**400) | {"step": 1}), ("Training steps 1",)),
    "negative": (lines(dict.fromkeys(metrics(1), -1.0) | {"step": 1}), ("Training steps 1",)),
    "gaps": (lines(metrics(3), metrics(90)), ("Training steps 2",)),
    "resumed": (resumed, ("Started 2 times", "has not finished", "Training steps 4")),
    "long": (lines(*map(metrics, range(1, 2001))), ("Training steps 2,000", "steps 1501 to 2000")),
}


@pytest.mark.parametrize("name", heavy_where(LEFT, LEFT.keys() - {"metrics alone", "null", "huge", "resumed"}))
def test_a_page_is_whole_whatever_is_there(run: Path, name: str) -> None:
    change, expected = LEFT[name]
    change(run)
    html = page_of(run)
    page = Page(html)
    words = " ".join(page.text.split())
    for text in (*TITLES, *expected):
        assert text in words
    assert html.rstrip().endswith("</html>")
    assert len(html) < 1_500_000


def holding(name: str, text: str) -> Callable[[Path], None]:
    """Replaces a file of a run."""

    def change(run: Path) -> None:
        (run / name).write_text(text)

    return change


WRONG: dict[str, tuple[Callable[[Path], None], str]] = {
    "no folder": (shutil.rmtree, "no such run folder"),
    "no metrics": (only("config.yaml"), "metrics.jsonl: cannot be read"),
    "empty metrics": (holding("metrics.jsonl", ""), "metrics.jsonl: empty"),
    "broken metrics": (holding("metrics.jsonl", '{"step": 1}\n{"st\n'), "metrics.jsonl, line 2: not JSON"),
    "broken config": (holding("config.yaml", "a: ["), "config.yaml: cannot be read"),
    "a config of aliases": (holding("config.yaml", "a: &a [x, x]\nb: *a\n"), "config.yaml: cannot be read (it holds"),
    "a config of text": (holding("config.yaml", "words"), "config.yaml: not a mapping"),
    "broken versions": (holding("versions.json", "[]"), "versions.json: not an object"),
    "broken rollouts": (holding("rollouts/1.jsonl", "{"), "1.jsonl, line 1: not JSON"),
    "broken validation": (holding("validation/0.jsonl", "{}"), "0.jsonl, line 1: 'input'"),
    "broken held-out corrections": (holding("held_out_corrections/0.jsonl", "{}"), "0.jsonl, line 1: 'problem'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_damaged_file_is_one_line(run: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    change, message = WRONG[name]
    change(run)
    assert main([str(run), "--out", str(run.parent / "page.html")]) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1
    assert not (run.parent / "page.html").exists()


def test_a_resumed_run_shows_the_settings_of_its_last_start(run: Path) -> None:
    for start in (2, 9, 10):
        (run / f"config.resume-{start}.yaml").write_text(f"fail2fix: {{risk: {{penalty: {start}.5}}}}\n")
        (run / f"versions.resume-{start}.json").write_text(f'{{"python": "3.11.{start}"}}')
    read = read_run(run)
    assert read.setting("fail2fix.risk.penalty") == 10.5
    assert read.versions == {"python": "3.11.10"}
    assert read.starts == 4


# ------------------------------------------------------------------------------------------- command line and hook


def test_several_runs_make_a_page_where_one_makes_a_table(
    bare: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([str(bare)]) == 0
    assert not list(tmp_path.glob("*.html"))
    assert "accuracy" in capsys.readouterr().out
    assert main([str(bare), str(bare)]) == 0
    assert capsys.readouterr().out == f"report: {PAGE}\n"
    assert main([str(bare), "--out", "deep/one.html"]) == 0
    assert "quickstart/first" in (tmp_path / "deep" / "one.html").read_text()


@pytest.mark.parametrize("arguments", [["--json", "--out", "x.html"], ["second", "--json"], []])
def test_wrong_arguments_are_refused(bare: Path, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*([str(bare)] if arguments else []), *arguments])
    assert ended.value.code == 2


def test_too_many_runs_and_an_unwritable_page_are_one_line(bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(bare)] * 7) == 2
    assert "7 runs: a report shows 1 to 6" in capsys.readouterr().err
    assert main([str(bare), "--out", str(bare / "metrics.jsonl" / "page.html")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_run_that_ends_leaves_its_page(run: Path, html: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The same files give the same page."""
    draw_at_end(run)
    assert capsys.readouterr().out == f"fail2fix: report: {run / PAGE}\n"
    assert (run / PAGE).read_text() == html


@pytest.mark.parametrize("name", WRONG)
def test_a_page_that_cannot_be_drawn_is_one_line_and_no_error(
    run: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    change, message = WRONG[name]
    change(run)
    draw_at_end(run)
    said = capsys.readouterr()
    if name in ("no folder", "no metrics"):
        assert said.out == ""
    else:
        assert message in said.out
        assert said.out.count("\n") == 1
    assert said.err == ""


def test_a_run_without_a_training_step_leaves_no_page(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_lines(run / "metrics.jsonl", [{"step": 0}])
    draw_at_end(run)
    assert capsys.readouterr().out == ""
    assert not (run / PAGE).exists()


def test_a_broken_plotting_library_is_one_line(run: Path, tmp_path: Path) -> None:
    """A run has to start, and to end with its own status, where that library cannot be loaded."""
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "matplotlib.py").write_text("raise RuntimeError('no plots today')")
    code = (
        f"import pathlib, sys; sys.path.insert(0, {str(tmp_path / 'broken')!r}); import fail2fix.train; "
        f"from fail2fix.report.at_end import draw_at_end; draw_at_end(pathlib.Path({str(run)!r})); sys.exit(7)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 7
    assert done.stdout.startswith("fail2fix: no report (RuntimeError: no plots today)")
    assert done.stdout.count("\n") == 1
