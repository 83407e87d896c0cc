"""A run that judges programs says once, before it starts, what isolates them; another run does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from fail2fix import preflight
from fail2fix.data.tasks import programs
from fail2fix.verify.code.backend import SandboxUnavailableError
from fail2fix.verify.code.local import LocalBackend
from tests.preflight.test_bad_input import composed, folder

__all__ = ["folder"]


@pytest.mark.parametrize("judges_programs", [True, False])
def test_the_isolation_of_programs_is_one_line_of_a_run_that_judges_any(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], judges_programs: bool
) -> None:
    overrides = ["reward.custom_reward_function.path=null"]
    if judges_programs:
        try:
            LocalBackend().close()
        except SandboxUnavailableError as error:
            pytest.skip(f"no sandbox here: {error}")
        programs.main([str(tmp_path), "--train", "8", "--held-out", "4"])
        overrides += [f"data.train_files={tmp_path}/train.parquet", f"data.val_files={tmp_path}/test.parquet"]
    capsys.readouterr()
    preflight.check_inputs(composed(folder, *overrides, "reward.num_workers=3", "data.max_prompt_length=512"))
    lines = [line for line in capsys.readouterr().out.splitlines() if "programs run in" in line]
    assert len(lines) == judges_programs
    for line in lines:
        assert line.startswith("fail2fix: programs run in bubblewrap as user ")
        assert "at most 6 programs at a time" in line
