"""``--database-url``, which stands before the command."""

from typing import Any

import pytest

from modelyard.cli.main import main


def test_a_bad_url_is_told_by_every_kind_of_command(cli: Any, capsys: pytest.CaptureFixture[str]) -> None:
    home = str(cli.home)
    for command in (["runs", "list"], ["doctor"]):
        code = main(["--home", home, "--database-url", "mysql://ann:hidden@host/name", *command])
        said = capsys.readouterr()
        assert code in {1, 2}
        assert "must start with postgresql://" in said.out + said.err
        assert "hidden" not in said.out + said.err


def test_an_empty_url_is_sqlite_whatever_the_environment_says(
    cli: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODELYARD_DATABASE_URL", "mysql://host/name")
    assert main(["--home", str(cli.home), "--database-url", "", "runs", "list"]) == 0
    assert "no runs" in capsys.readouterr().out
