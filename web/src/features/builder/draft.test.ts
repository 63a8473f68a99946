import { describe, expect, test } from "vitest";
import type { components } from "@/lib/api.gen";
import { isSettled, reduce, type State } from "./draft";

type Draft = components["schemas"]["Draft"];

const EMPTY: State = { text: "a: 1\n", edits: [], checked: null, lost: [], trouble: "", absent: 0, before: null, nextId: 0 };

function answer(text: string): Draft {
  return { text, lost: [], document: {}, mistakes: [], name: "a", runs: 1, samples: null };
}

function edited(state: State, key: string, value: unknown): State {
  return reduce(state, { kind: "edited", edits: [{ path: [key], value }] });
}

describe("a draft", () => {
  test("is settled once the server has answered for what is there", () => {
    const sent = { text: EMPTY.text, edits: [] };
    const state = reduce(EMPTY, { kind: "answered", sent, draft: answer(EMPTY.text) });
    expect(isSettled(EMPTY)).toBe(false);
    expect(isSettled(state)).toBe(true);
    expect(isSettled(reduce(state, { kind: "typed", text: "a: 2\n" }))).toBe(false);
    expect(isSettled(edited(state, "b", 1))).toBe(false);
  });

  test("keeps what was changed while an answer was under way", () => {
    const first = edited(EMPTY, "b", 1);
    const second = edited(first, "c", 2);
    const state = reduce(second, {
      kind: "answered",
      sent: { text: first.text, edits: first.edits },
      draft: answer("a: 1\nb: 1\n"),
    });
    expect(state.text).toBe("a: 1\nb: 1\n");
    expect(state.edits.map((edit) => edit.path)).toEqual([["c"]]);
  });

  test("asks once more, with all edits, where the text was typed on meanwhile", () => {
    const first = edited(EMPTY, "b", 1);
    const typed = reduce(first, { kind: "typed", text: "a: 5\n" });
    const state = reduce(typed, {
      kind: "answered",
      sent: { text: first.text, edits: first.edits },
      draft: answer("a: 1\nb: 1\n"),
    });
    expect(state.text).toBe("a: 5\n");
    expect(state.edits).toHaveLength(1);
    expect(isSettled(state)).toBe(false);
  });

  test("counts how often the server was not there, and forgets a refusal when something changes", () => {
    let state = reduce(EMPTY, { kind: "failed", message: "not there", absent: true });
    state = reduce(state, { kind: "failed", message: "not there", absent: true });
    expect(state.absent).toBe(2);
    expect(reduce(state, { kind: "typed", text: "b: 1" }).trouble).toBe("not there");
    const refused = reduce(EMPTY, { kind: "failed", message: "too long", absent: false });
    expect(reduce(refused, { kind: "typed", text: "b: 1" }).trouble).toBe("");
  });

  test("gives back what was there before another sweep was taken", () => {
    const state = reduce(edited(EMPTY, "b", 1), { kind: "started", text: "other: 1\n" });
    expect([state.text, state.before, state.edits]).toEqual(["other: 1\n", "a: 1\n", []]);
  });
});
