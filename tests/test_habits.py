"""What runs on GitHub and at a commit: commands that exist, rights that only read, the ruff of the lock."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.wheel import ROOT

GITHUB = ROOT / ".github"


def read(path: str) -> dict[str, Any]:
    # YAML 1.1 reads the key `on` as true.
    return {str(key): value for key, value in yaml.safe_load((ROOT / path).read_text()).items()}


def commands(job: dict[str, Any]) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


def test_each_change_is_linted_typed_and_tested_and_each_night_tests_all() -> None:
    workflow = read(".github/workflows/ci.yml")
    fast, full = workflow["jobs"]["fast"], workflow["jobs"]["full"]
    assert {"push", "pull_request", "schedule"} <= workflow["True"].keys()
    assert {"scripts/test.sh --fast", "scripts/test.sh --types"} <= set(commands(fast))
    assert "scripts/test.sh" in commands(full)
    assert "pull_request" in fast["if"]
    assert "schedule" in full["if"]


def test_workflows_may_only_read_and_end() -> None:
    workflow = read(".github/workflows/ci.yml")
    assert workflow["permissions"] == {"contents": "read"}
    assert "pull_request_target" not in workflow["True"], "it would give a stranger's code the repository's rights"
    for job in workflow["jobs"].values():
        assert "permissions" not in job
        assert job["timeout-minutes"] <= 180
        for command in commands(job):
            assert "${{" not in command, "text of an event would be run by the shell"


@pytest.mark.parametrize("path", sorted(path.name for path in (GITHUB / "ISSUE_TEMPLATE").glob("[!c]*.yml")))
def test_issue_forms_ask_something_by_distinct_ids(path: str) -> None:
    form = read(f".github/ISSUE_TEMPLATE/{path}")
    asked = [field["id"] for field in form["body"] if field["type"] != "markdown"]
    assert form["name"]
    assert form["description"]
    assert asked
    assert len(set(asked)) == len(asked)


def test_commits_are_formatted_by_the_locks_ruff() -> None:
    hooks = [hook for repo in read(".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    assert [hook["entry"] for hook in hooks] == [".venv/bin/ruff check --fix", ".venv/bin/ruff format"]
    assert {hook["language"] for hook in hooks} == {"system"}, "another language would install a ruff of its own"


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "SECURITY.md", "PULL_REQUEST_TEMPLATE.md"])
def test_links_and_scripts_that_contributors_are_sent_to_exist(name: str) -> None:
    text = (GITHUB / name).read_text()
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    scripts = re.findall(r"scripts/[\w/]+\.(?:sh|py|txt)", text)
    assert links or scripts
    assert not [link for link in links if not (GITHUB / link).exists()]
    assert not [script for script in scripts if not (ROOT / script).exists()]
