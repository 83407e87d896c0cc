"""The offline archive's parts: which packages and files travel, which GPU code is kept, and that it unpacks again."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from gpu_archive import contents, packages, size, slim, unpack, wheels
from gpu_archive.fat_binary import MACHINE_CODE, PTX, Unit, units
from gpu_archive.pack import compress

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "scripts" / "gpu_archive"
LOCK = ROOT / "scripts" / "locks" / "gpu-py312.txt"


def fat_binary(*parts: tuple[int, int, bytes, int]) -> bytes:
    """A fat binary of units: kind, capability, code, flags."""
    body = b""
    for kind, capability, code, flags in parts:
        header = struct.pack("<HHIQ", kind, 0x101, 64, len(code)) + bytes(12)
        body += header + struct.pack("<I", capability) + bytes(8) + struct.pack("<Q", flags) + bytes(16) + code
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(body)) + body


def library(*parts: tuple[int, int, bytes, int]) -> bytearray:
    """Bytes that hold a fat binary where nvcc would align it, between others."""
    return bytearray(b"\x7fELF" + bytes(60) + fat_binary(*parts) + b"host code" * 9)


def test_every_pin_of_the_lock_is_in_one_list() -> None:
    lists = [packages.PACKED, packages.ON_MACHINE, packages.NOT_NEEDED]
    assert sorted(name for names in lists for name in names) == sorted(packages.pins(LOCK))
    assert packages.SOURCES <= packages.PACKED


def test_what_the_project_requires_travels_or_is_there() -> None:
    # wandb: only where a user asks for that tracker.
    assert packages.NOT_NEEDED & set(map(packages.normal, requirements())) == {"wandb"}


def requirements() -> list[str]:
    from packaging.requirements import Requirement
    from setuptools.config.pyprojecttoml import read_configuration

    project = read_configuration(ROOT / "pyproject.toml", expand=False)["project"]
    return [Requirement(line).name for line in [*project["dependencies"], *project["optional-dependencies"]["train"]]]


@pytest.mark.parametrize(
    ("path", "travels"),
    [
        ("vllm/engine/arg_utils.py", True),
        ("vllm/_C.abi3.so", True),
        ("vllm/_moe_C.abi3.so", False),
        ("vllm/model_executor/models/llama.py", True),
        ("vllm/model_executor/models/qwen2.py", True),
        ("vllm/model_executor/models/whisper.py", False),
        ("verl/trainer/config/ppo_trainer.yaml", True),
        ("verl/trainer/config/_generated_ppo_trainer.yaml", False),
        ("ray/core/src/ray/raylet/raylet", True),
        ("ray/rllib/env.py", False),
        ("transformers/models/llama/__pycache__/a.pyc", False),
        ("xgrammar-0.2.3.dist-info/RECORD", True),
        ("verl-0.9.1.dist-info/RECORD", False),
        ("verl-0.9.1.dist-info/METADATA", True),
        ("bin/ray", False),
    ],
)
def test_files_by_pattern(path: str, travels: bool) -> None:
    assert contents.travels(path) is travels


def test_units_of_a_fat_binary() -> None:
    data = library((PTX, 90, b"p" * 24, 0), (MACHINE_CODE, 90, b"m" * 40, 0x8000), (MACHINE_CODE, 100, b"x" * 8, 0))
    found = list(units(data))
    assert [(u.kind, u.capability, u.compressed) for u in found] == [(1, 90, False), (2, 90, True), (2, 100, False)]
    assert [bytes(data[u.start : u.start + u.size]) for u in found] == [b"p" * 24, b"m" * 40, b"x" * 8]


@pytest.mark.parametrize("at", [4, 64])  # not aligned; longer than the file
def test_a_magic_number_by_chance_is_no_fat_binary(at: int) -> None:
    binary = fat_binary((MACHINE_CODE, 90, b"m" * 40, 0))
    assert not list(units(bytes(at) + binary[: 60 if at == 64 else None]))


def test_other_architectures_become_zeros_and_nothing_moves() -> None:
    parts = [(PTX, 90, b"p" * 24, 0), (MACHINE_CODE, 90, b"m" * 40, 0), (MACHINE_CODE, 100, b"x" * 8, 0)]
    data = library(*parts)
    before = bytes(data)
    assert slim.blank(data, "_C.abi3.so") == 32
    assert bytes(data) == before.replace(b"p" * 24, bytes(24)).replace(b"x" * 8, bytes(8))


def test_large_compressed_units_go_and_large_plain_ones_stay() -> None:
    large = b"l" * (slim.LARGEST_UNIT + 8)
    data = library((MACHINE_CODE, 90, large, 0x8000), (MACHINE_CODE, 90, large, 0))
    assert slim.blank(data, "_C.abi3.so") == len(large)
    assert large in bytes(data)


@pytest.mark.parametrize(
    ("source", "kept"),
    [
        ("flash_fwd_hdim64_bf16_paged_sm90_cu", True),
        ("flash_fwd_hdim128_bf16_split_sm90_cu", True),
        ("flash_fwd_hdim128_bf16_softcap_sm90_cu", False),
        ("flash_fwd_hdim128_fp16_sm90_cu", False),
        ("flash_fwd_hdim256_bf16_sm90_cu", False),
        ("flash_fwd_combine_cu", True),
    ],
)
def test_kernels_of_flash_attention(source: str, kept: bool) -> None:
    code = b"$_17_" + source.encode() + b"_0123abcd_" + bytes(16)
    unit, data = Unit(8, len(code), MACHINE_CODE, 90, False), bytearray(8) + code
    assert slim.needed(unit, data, "_vllm_fa3_C.abi3.so") is kept


@pytest.mark.heavy
def test_a_wheel_that_is_not_the_locks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = make_wheel(tmp_path, "pebble", "5.2.3")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    lock = tmp_path / "lock.txt"
    lock.write_text(f"pebble==5.2.3 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
    wanted = wheels.download(lock, tmp_path / "wheels")
    wheels.install(wanted, tmp_path / "site")
    assert (tmp_path / "site" / "pebble.py").read_text() == "made = 'the archive'\n"
    lock.write_text(f"pebble==5.2.3 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(SystemExit, match=r"gpu_archive: pip download failed: .+"):
        wheels.download(lock, tmp_path / "wheels")


def make_wheel(folder: Path, name: str, version: str) -> Path:
    info = f"{name}-{version}.dist-info"
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{name}.py", "made = 'the archive'\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return wheel


def test_packed_modules_come_first_and_the_machines_below_them(tmp_path: Path) -> None:
    site, machine = tmp_path / "site", tmp_path / "machine"
    for folder, names in ((site, ("packed", "both")), (machine, ("there", "both"))):
        folder.mkdir()
        for name in names:
            (folder / f"{name}.py").write_text(f"made = {folder.name!r}\n")
    compress(site, tmp_path / "site.tar.xz", 0)
    unpack.make_environment(tmp_path / "site.tar.xz", tmp_path / "env", [str(machine)])
    shutil.rmtree(site)
    code = "import packed, both, there; print(packed.made, both.made, there.made)"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [tmp_path / "env" / "bin" / "python", "-c", code]
    assert subprocess.check_output(command, env=environment, text=True) == "site site machine\n"


def test_equal_files_give_an_equal_archive(tmp_path: Path) -> None:
    for number in (1, 2):
        site = tmp_path / f"site{number}"
        for name in ("b.py", "a.py") if number == 1 else ("a.py", "b.py"):
            (site / name[0]).mkdir(parents=True)
            (site / name[0] / "same.py").write_text(name)
        os.utime(site / "a" / "same.py", (number, number))
        compress(site, tmp_path / f"{number}.tar.xz", 0)
    assert (tmp_path / "1.tar.xz").read_bytes() == (tmp_path / "2.tar.xz").read_bytes()


def test_an_archive_that_was_not_carried_is_named(tmp_path: Path) -> None:
    command = [sys.executable, FOLDER / "unpack.py", tmp_path / "none", tmp_path / "work"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "Python 3.12" in done.stderr if sys.version_info[:2] != (3, 12) else "build.sh" in done.stderr


def test_what_travels_has_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root, carried = tmp_path / "root", tmp_path / "root" / ".gpu"
    subprocess.run(["git", "init", "-q", root], check=True)
    carried.mkdir()
    (root / ".gitignore").write_text(".gpu/\nignored\n")
    (root / "ignored").write_bytes(bytes(900))
    (root / "text").write_bytes(bytes(600))
    (carried / "site.tar.xz").write_bytes(bytes(400))
    monkeypatch.setattr(sys, "argv", ["size.py", str(root), str(carried)])
    monkeypatch.setattr(size, "LIMIT", 1100)
    assert size.main() == 0
    monkeypatch.setattr(size, "LIMIT", 1000)
    assert size.main() == 1
    assert "text" in capsys.readouterr().err


@pytest.mark.parametrize("script", ["build.sh", "start.sh"])
def test_scripts_parse_and_can_be_run(script: str) -> None:
    assert subprocess.run(["bash", "-n", FOLDER / script], capture_output=True).stderr == b""
    assert os.access(FOLDER / script, os.X_OK)


def test_start_hands_the_check_what_was_unpacked(tmp_path: Path) -> None:
    """A stand-in for the check, in an environment that is unpacked already."""
    work, check = tmp_path / "work", tmp_path / "check.py"
    (work / "env" / "bin").mkdir(parents=True)
    (work / "env" / "bin" / "python").symlink_to(sys.executable)
    (work / "env" / "done").touch()
    (work / "vllm" / "modelinfos").mkdir(parents=True)
    check.write_text("import fail2fix, json, sys; print(json.dumps(sys.argv[1:]))")
    given = {"GPU_WORK": str(work), "CARRIED": str(tmp_path / "none"), "CHECK": str(check), "LIMIT": "400"}
    command = ["bash", FOLDER / "start.sh", "--only", "main"]
    done = subprocess.run(command, env=os.environ | given, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    out, _, carried, _, limit, *options = json.loads(done.stdout.splitlines()[-1])
    assert (out, carried, options) == (str(work / "out"), str(work / "carried"), ["--only", "main"])
    assert 380 < int(limit) <= 400


def test_a_build_without_the_environment_says_so_in_one_line() -> None:
    done = subprocess.run(
        ["bash", FOLDER / "build.sh"], env=os.environ | {"PYTHON": "/none"}, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr == "gpu_archive: /none is missing: run scripts/setup_env.sh, or set PYTHON\n"
