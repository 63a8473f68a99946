import json
import subprocess
import sys


def run(request):
    """Run the module as the CLI does: exit code, output lines, errors."""
    text = request if isinstance(request, str) else json.dumps(request)
    done = subprocess.run(
        [sys.executable, "-m", "modelyard.tasks.image_classification.inspect_main"],
        input=text,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_progress_then_the_report():
    code, lines, errors = run({"data": {"source": "digits", "val_fraction": 0.5}, "folder": None})
    assert (code, errors) == (0, "")
    assert all(set(line) == {"progress"} for line in lines[:-1])
    assert lines[-2] == {"progress": [1797, 1797]}
    assert lines[-1]["report"]["splits"]["val"]["count"] == 899


def test_relative_paths_start_at_the_folder_and_errors_have_kind_and_code(tmp_path):
    request = {"data": {"source": "image-folder", "path": "cats"}, "folder": str(tmp_path)}
    code, lines, _ = run(request)
    assert code == 2
    [line] = lines
    assert line["error"]["kind"] == "DataError"
    assert str(tmp_path / "cats") in line["error"]["message"]


def test_a_bad_request_is_a_config_error():
    for request, message in (
        ({"data": {"source": "digits", "val_fractoin": 0.1}}, "did you mean 'val_fraction'"),
        ({"data": {"source": "digit"}}, "did you mean 'digits'"),
        ("{", "not JSON"),
    ):
        code, lines, _ = run(request)
        assert code == 2
        assert lines[0]["error"]["kind"] == "ConfigError"
        assert message in lines[0]["error"]["message"]


def test_importing_it_loads_no_torch_and_nothing_optional():
    heavy = ("torch", "datasets", "pyarrow", "sklearn", "transformers")
    code = (
        "import sys, modelyard.tasks.image_classification.inspect_main\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
