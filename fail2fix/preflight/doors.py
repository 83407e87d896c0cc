"""Resolve every door (`fail2fix/README.md`) before anything starts, so that a wrong path is one line."""

from __future__ import annotations

from fail2fix.method.advantage import advantage_estimator
from fail2fix.method.errors import InputError
from fail2fix.method.selection import selection_rule
from fail2fix.method.shaping import penalty_rule
from fail2fix.method.templates import prompt_template
from fail2fix.run.config import Fail2FixConfig
from fail2fix.run.renamed import renamed_in
from fail2fix.verify.registry import verifier_of
from fail2fix.verl_ext.sources import source_class


def check_doors(settings: Fail2FixConfig) -> None:
    """Resolve the classes and functions that the config names.

    Raises:
        InputError: the key, its value, the shipped names, and what the object lacks.
    """
    try:
        source_class(settings.replay)
        selection_rule(settings.replay)
        prompt_template(settings.correction)
        penalty_rule(settings.risk)
        advantage_estimator(settings.advantage)
        for data_source in settings.verifier.sources:
            verifier_of(data_source, settings.verifier)
    except InputError as error:
        old = renamed_in(str(error))  # of a module that is imported under an old name
        raise InputError(f"{error}; {old}" if old else str(error)) from error
