"""A GPU belongs to one run; ``nvidia-smi`` is a script here."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from omegaconf import DictConfig

from fail2fix import preflight
from fail2fix.cluster import gpus
from fail2fix.cluster.lock import hold
from fail2fix.method.errors import InputError
from tests.preflight.test_bad_input import Main, folder, main
from tests.verl_ext.test_contract import config

__all__ = ["folder", "main"]

UUIDS = [f"GPU-{name}" for name in ("a0-0", "a0-1", "b0-2", "c0-3")]


def list_gpus(place: Path, used_mib: int = 4) -> None:
    """Put an ``nvidia-smi`` there that lists four GPUs, or fails where it is asked anything else."""
    script = place / "nvidia-smi"
    rows = "\n".join(f"{index}, {uuid}, {used_mib}" for index, uuid in enumerate(UUIDS))
    script.write_text(f'#!/bin/sh\n[ "$*" = "{" ".join(gpus.QUERY[1:])}" ] || exit 1\necho "{rows}"\n')
    script.chmod(0o755)


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    list_gpus(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")


def run(count: int = 1) -> DictConfig:
    return config(f"trainer.n_gpus_per_node={count}")


def held(place: Path, given: DictConfig, name: str, shown: str = "0") -> AbstractContextManager[list[str]]:
    return gpus.hold_gpus(given, place / name, {gpus.VARIABLE: shown}, place)


def may_start(place: Path, given: DictConfig, shown: str = "0") -> bool:
    try:
        with held(place, given, "next", shown):
            return True
    except InputError:
        return False


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        (None, [0, 1, 2, 3]),
        ("2", [2]),
        ("3, 0", [3, 0]),
        ("", []),
        ("-1", []),
        ("1,9,2", [1]),
        ("GPU-c0", [3]),
        (f"{UUIDS[2]},0", [2, 0]),
    ],
)
def test_gpus_are_those_that_cuda_shows_in_its_order(asked: str | None, shown: list[int]) -> None:
    environment = {} if asked is None else {gpus.VARIABLE: asked}
    assert [gpu.uuid for gpu in gpus.visible(environment)] == [UUIDS[index] for index in shown]


def test_a_slice_of_a_gpu_is_a_gpu() -> None:
    assert [gpu.uuid for gpu in gpus.visible({gpus.VARIABLE: "MIG-1,MIG-2"})] == ["MIG-1", "MIG-2"]


def test_a_second_run_on_a_gpu_is_refused_with_the_first_ones_name_and_the_way_out(tmp_path: Path) -> None:
    with held(tmp_path, run(), "first"):
        with pytest.raises(InputError, match=f"GPU 0 .*{tmp_path}/first") as refused, held(tmp_path, run(), "second"):
            pass
        assert may_start(tmp_path, run(), shown="1")
    assert "RAY_ADDRESS=auto" in str(refused.value)
    assert may_start(tmp_path, run())


def test_a_run_holds_the_first_gpus_that_it_sees_and_no_more(tmp_path: Path) -> None:
    with held(tmp_path, run(2), "first", shown="3,1,0"):
        assert [may_start(tmp_path, run(), shown=index) for index in "0123"] == [True, False, True, False]


def test_a_refused_run_leaves_every_gpu_free(tmp_path: Path) -> None:
    with held(tmp_path, run(), "first", shown="1"):
        assert not may_start(tmp_path, run(2), shown="0,1")
        assert may_start(tmp_path, run(), shown="0")


def test_a_killed_run_leaves_its_gpus_free(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys, time; from fail2fix.cluster.lock import hold\n"
        "held = hold(pathlib.Path(sys.argv[1]), pathlib.Path('killed'), str); print('held', flush=True); time.sleep(60)"
    )
    path = tmp_path / f"fail2fix-{UUIDS[0]}.held"
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(InputError, match="killed"), held(tmp_path, run(), "second"):
        pass
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert may_start(tmp_path, run())


def test_every_user_may_lock_the_file_whatever_its_makers_umask(tmp_path: Path) -> None:
    """The file outlives the run that made it."""
    path, before = tmp_path / "one.held", os.umask(0o077)
    try:
        hold(path, tmp_path / "first", str).close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666


def test_a_link_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    """Whoever may write to /tmp must not have another user's run write elsewhere."""
    other, path = tmp_path / "other", tmp_path / "one.held"
    other.write_text("keep")
    path.symlink_to(other)
    with pytest.raises(InputError, match=re.escape(str(path))):
        hold(path, tmp_path / "first", str)
    assert other.read_text() == "keep"


@pytest.mark.parametrize("answer", [None, "exit 9", "echo No devices were found"])
def test_without_an_nvidia_gpu_nothing_is_held(
    answer: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{answer}\n")
    if answer is None:
        monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    with held(tmp_path, run(), "first"), held(tmp_path, run(), "second") as lines:
        assert lines == []
    assert not list(tmp_path.glob("*.held"))


def test_a_cpu_run_holds_no_gpu(tmp_path: Path) -> None:
    given = run()
    given.trainer.device = "cpu"
    with held(tmp_path, given, "first"), held(tmp_path, given, "second"):
        assert not list(tmp_path.glob("*.held"))


def test_memory_that_others_hold_is_named(tmp_path: Path) -> None:
    list_gpus(tmp_path, used_mib=30_000)
    with held(tmp_path, run(), "first") as lines:
        (line,) = lines
    assert all(part in line for part in ("GPU 0 ", "30000 MiB", "CUDA_VISIBLE_DEVICES"))


def test_training_is_refused_before_it_leaves_anything(
    folder: Path, main: Main, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VERL_PLATFORM")
    monkeypatch.delenv(gpus.VARIABLE, raising=False)
    monkeypatch.setattr(gpus, "FOLDER", tmp_path)
    monkeypatch.setattr(preflight, "check_inputs", lambda _: [])  # they need a GPU's packages
    options = ["trainer.device=cuda", "fail2fix.run.name=second", f"fail2fix.run.root={tmp_path}/outputs"]
    with held(tmp_path, run(), "first"):
        assert f"GPU 0 ({UUIDS[0]}) belongs to another run ({tmp_path}/first)" in main.refused(*options)
    assert not (tmp_path / "outputs").exists()
