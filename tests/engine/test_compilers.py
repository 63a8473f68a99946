"""Where ``torch.compile`` can work is found without torch."""

import pytest

from modelyard.engine.compilers import why_not_compiled


def test_compiling_needs_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX", raising=False)
    assert why_not_compiled("cpu", lambda _: "/bin/g++", lambda _: False) == ""
    assert "needs a C++ compiler" in why_not_compiled("cpu", lambda _: None, lambda _: True)
    assert "needs triton" in why_not_compiled("cuda", lambda _: "/bin/g++", lambda _: False)
    assert why_not_compiled("cuda", lambda _: "/bin/g++", lambda _: True) == ""
    assert "no stable support" in why_not_compiled("mps", lambda _: "/bin/g++", lambda _: True)
    monkeypatch.setenv("CXX", "mine")
    assert why_not_compiled("cpu", lambda name: name if name == "mine" else None, lambda _: True) == ""
