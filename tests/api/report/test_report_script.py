"""The page's script: pointing at a run lights it up everywhere, a click keeps it, printing opens everything."""

import json
import shutil
import subprocess
from importlib.resources import files

import pytest

SCRIPT = files("modelyard.api.report.html").joinpath("page.js").read_text()

# Just as much of a document as the script uses.
DOCUMENT = """
class Element {
  constructor(run, parent = null) { this.run = run; this.parent = parent; this.classes = new Set(); this.open = false; }
  getAttribute() { return this.run; }
  closest() { return this.run !== null ? this : this.parent === null ? null : this.parent.closest(); }
  get classList() {
    const classes = this.classes;
    return {
      add: (name) => classes.add(name),
      remove: (name) => classes.delete(name),
      toggle: (name, on) => (on ? classes.add(name) : classes.delete(name)),
    };
  }
}
const curve = new Element("a"), row = new Element("a"), other = new Element("b"), ground = new Element(null);
const path = new Element(null, curve), details = new Element(null), body = new Element(null);
const handlers = {};
const listen = (kind, handler) => { handlers[kind] = handler; };
const document = {
  body,
  addEventListener: listen,
  querySelectorAll: (selector) => (selector === "details" ? [details] : [curve, row, other]),
};
const addEventListener = listen;
const happens = (kind, target) => {
  handlers[kind]({ target });
  const lit = [curve, row, other].map((part) => part.classes.has("lit"));
  return [...lit, body.classes.has("some-lit"), details.open];
};
"""


def run(*events: tuple[str, str]) -> list[list[bool]]:
    """Return after each event: whether both parts of a and the one of b are lit, any is, and details are open."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node here to run the script")
    calls = ", ".join(f"happens({json.dumps(kind)}, {target})" for kind, target in events)
    program = f"{DOCUMENT}\n{SCRIPT}\nconsole.log(JSON.stringify([{calls}]));"
    done = subprocess.run([node, "-"], input=program, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_pointing_lights_a_run_up_everywhere_and_nothing_else():
    assert run(("pointerover", "path"), ("pointerover", "other"), ("pointerover", "ground")) == [
        [True, True, False, True, False],
        [False, False, True, True, False],
        [False, False, False, False, False],
    ]


def test_the_keyboard_does_the_same():
    assert run(("focusin", "row")) == [[True, True, False, True, False]]


def test_a_click_keeps_a_run_lit_until_the_next():
    assert run(("click", "row"), ("pointerover", "ground"), ("click", "row")) == [
        [True, True, False, True, False],
        [True, True, False, True, False],
        [False, False, False, False, False],
    ]
    assert run(("click", "row"), ("click", "ground"))[1] == [False, False, False, False, False]


def test_printing_opens_what_is_folded_and_lights_nothing():
    assert run(("click", "row"), ("beforeprint", "ground"))[1] == [False, False, False, False, True]
