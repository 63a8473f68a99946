/**
 * A sweep as it is written: the text is what counts. What the form changes is asked of the server, which keeps the
 * text's comments and says what is wrong; until it has answered, the form shows what it will be.
 */
import { useCallback, useEffect, useMemo, useReducer } from "react";
import { ApiError, ask, client } from "@/lib/api";
import type { components } from "@/lib/api.gen";
import { applied, type Edit, type Path, type Values } from "./document";

type Draft = components["schemas"]["Draft"];
export type Mistake = components["schemas"]["Mistake"];

const KEPT = "modelyard.draft";
const DEBOUNCE_MILLISECONDS = 150;
const RETRY_MILLISECONDS = 1500;

export interface State {
  readonly text: string;
  /** Changes of the form that are not in the text yet. */
  readonly edits: readonly Edit[];
  /** The newest answer, and the text that it is about. */
  readonly checked: Draft | null;
  /** Comments that went with what was edited. */
  readonly lost: readonly string[];
  /** Why there is no answer, and how often in a row the server was not there. */
  readonly trouble: string;
  readonly absent: number;
  /** What was there before another sweep was taken. */
  readonly before: string | null;
  readonly nextId: number;
}

type Action =
  | { readonly kind: "typed"; readonly text: string }
  | { readonly kind: "edited"; readonly edits: readonly Omit<Edit, "id">[] }
  | { readonly kind: "started"; readonly text: string }
  | { readonly kind: "answered"; readonly sent: Sent; readonly draft: Draft }
  | { readonly kind: "failed"; readonly message: string; readonly absent: boolean };

interface Sent {
  readonly text: string;
  readonly edits: readonly Edit[];
}

export function reduce(state: State, action: Action): State {
  switch (action.kind) {
    case "typed":
      return { ...state, ...mended(state), text: action.text, lost: [] };
    case "edited": {
      const edits = action.edits.map((edit, index) => ({ ...edit, id: state.nextId + index }));
      return { ...state, ...mended(state), edits: [...state.edits, ...edits], nextId: state.nextId + edits.length };
    }
    case "started":
      return {
        ...state,
        ...mended(state),
        text: action.text,
        edits: [],
        before: state.text === "" ? null : state.text,
        lost: [],
      };
    case "failed":
      return { ...state, trouble: action.message, absent: action.absent ? state.absent + 1 : 0 };
    case "answered": {
      const { sent, draft } = action;
      if (state.text !== sent.text) return { ...state, trouble: "", absent: 0 }; // it was typed on meanwhile: asked once more
      const known = new Set(sent.edits.map((edit) => edit.id));
      const edits = state.edits.filter((edit) => !known.has(edit.id));
      const lost = [...state.lost, ...draft.lost];
      return { ...state, text: draft.text, edits, checked: draft, lost, trouble: "", absent: 0 };
    }
  }
}

/** What the server refused may be right now; that it is not there stays true until it answers. */
function mended(state: State): Pick<State, "trouble"> {
  return { trouble: state.absent > 0 ? state.trouble : "" };
}

/** Whether the newest answer is about what is there now. */
export function isSettled(state: State): boolean {
  return state.edits.length === 0 && state.checked?.text === state.text && state.trouble === "";
}

export interface Drafting {
  readonly state: State;
  readonly settled: boolean;
  /** What the text holds, with what the form changed; null while the text cannot be read. */
  readonly document: Values | null;
  readonly type: (text: string) => void;
  readonly edit: (...edits: readonly Omit<Edit, "id">[]) => void;
  readonly start: (text: string) => void;
}

/** Begins with what was kept from before, also over a reload. */
export function useDraft(): Drafting {
  const [state, dispatch] = useReducer(reduce, null, restored);
  const { text, edits, checked, trouble, absent } = state;
  const settled = isSettled(state);
  useEffect(() => keep(text, edits), [text, edits]);
  useEffect(() => {
    if (settled || (trouble !== "" && absent === 0)) return;
    const sent = { text, edits };
    const control = new AbortController();
    const timer = setTimeout(
      () => void send(sent, control.signal).then((action) => action !== null && dispatch(action)),
      absent === 0 ? DEBOUNCE_MILLISECONDS : RETRY_MILLISECONDS,
    );
    return () => {
      clearTimeout(timer);
      control.abort();
    };
  }, [settled, trouble, absent, text, edits]);
  const document = useMemo(() => {
    const found = checked?.document ?? null;
    return found === null ? null : applied(found as Values, edits);
  }, [checked, edits]);
  return {
    state,
    settled,
    document,
    type: useCallback((typedText: string) => dispatch({ kind: "typed", text: typedText }), []),
    edit: useCallback((...wanted: readonly Omit<Edit, "id">[]) => dispatch({ kind: "edited", edits: wanted }), []),
    start: useCallback((other: string) => dispatch({ kind: "started", text: other }), []),
  };
}

async function send(sent: Sent, signal: AbortSignal): Promise<Action | null> {
  const body = {
    text: sent.text,
    edits: sent.edits.map(({ path, value = null, remove = false }) => ({ path: [...path], value, remove })),
  };
  try {
    return { kind: "answered", sent, draft: await ask(client.POST("/api/v1/drafts", { body, signal })) };
  } catch (error) {
    if (signal.aborted) return null;
    const absent = error instanceof ApiError && error.status === 0;
    return { kind: "failed", message: error instanceof Error ? error.message : String(error), absent };
  }
}

function restored(): State {
  const empty = { checked: null, lost: [], trouble: "", absent: 0, before: null };
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT) ?? "") as { text: string; edits: { path: Path }[] };
    const edits = kept.edits.map((edit, id) => ({ ...edit, id }));
    return { ...empty, text: kept.text, edits, nextId: edits.length };
  } catch {
    return { ...empty, text: "", edits: [], nextId: 0 }; // nothing was kept
  }
}

function keep(text: string, edits: readonly Edit[]): void {
  if (text === "") localStorage.removeItem(KEPT);
  else localStorage.setItem(KEPT, JSON.stringify({ text, edits }));
}

/** Forget what was kept: it became an experiment. */
export function forget(): void {
  localStorage.removeItem(KEPT);
}
