/** What can be done by a key or from the palette: one registry for both, and for the page of shortcuts. */
import { useEffect, useSyncExternalStore } from "react";

export interface Command {
  readonly title: string;
  readonly group: string;
  /** Keys, one after the other: "g e", "p". */
  readonly keys?: string;
  readonly run: () => void;
}

type Source = () => readonly Command[];

const sources = new Set<Source>();
const watchers = new Set<() => void>();
let known: readonly Command[] = [];

function gather(): void {
  known = [...sources].flatMap((source) => source());
  for (const watcher of watchers) watcher();
}

/** Offer commands until what it returns is called. */
export function offer(source: Source): () => void {
  sources.add(source);
  gather();
  return () => {
    sources.delete(source);
    gather();
  };
}

export function allCommands(): readonly Command[] {
  return known;
}

function watch(watcher: () => void): () => void {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

/** All that can be done now. */
export function useAllCommands(): readonly Command[] {
  return useSyncExternalStore(watch, allCommands);
}

/** Offer commands while the calling component is shown; ``commands`` has to be the same array until it changes. */
export function useCommands(commands: readonly Command[]): void {
  useEffect(() => offer(() => commands), [commands]);
}
