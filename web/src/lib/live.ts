/** Follows the server's stream and keeps what the page shows true: one connection for the whole page. */
import type { QueryClient } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";
import type { EventView, Hello, Progress, Run, RunPage } from "./api";

type Connection = "connecting" | "live" | "lost";

interface Status {
  readonly connection: Connection;
  /** When the last message came, in milliseconds since 1970. */
  readonly heard: number;
}

type Listener = (event: EventView) => void;

/** Reconnects by itself, and goes on after the last event that it saw. */
export class Live {
  private status: Status = { connection: "connecting", heard: Date.now() };
  private readonly watchers = new Set<() => void>();
  private readonly listeners = new Set<Listener>();
  private instance = "";
  private seq: number | null = null;
  private readonly moved = new Set<string>();
  private drawing: ReturnType<typeof setTimeout> | null = null;
  private source: EventSource | null = null;

  constructor(private readonly cache: QueryClient) {}

  start(): void {
    const source = new EventSource(this.seq === null ? "/api/v1/stream" : `/api/v1/stream?after=${this.seq}`);
    this.source = source;
    source.onopen = () => this.set("live");
    source.onerror = () => {
      this.set("lost");
      // A browser gives up on some errors (a proxy's answer while the server restarts); we do not.
      if (source.readyState === EventSource.CLOSED) setTimeout(() => this.restart(), RETRY_MILLISECONDS);
    };
    source.addEventListener("hello", (message) => this.greet(JSON.parse(message.data) as Hello));
    source.addEventListener("event", (message) => this.take(JSON.parse(message.data) as EventView));
    source.addEventListener("progress", (message) => this.move(JSON.parse(message.data) as Progress[]));
  }

  stop(): void {
    this.source?.close();
    this.source = null;
  }

  /** Call ``listener`` for each event from now on; returns what ends that. */
  listen(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  readonly watch = (watcher: () => void): (() => void) => {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  };

  readonly read = (): Status => this.status;

  private restart(): void {
    if (this.source === null) return;
    this.stop();
    this.start();
  }

  private set(connection: Connection): void {
    this.status = { connection, heard: Date.now() };
    for (const watcher of this.watchers) watcher();
  }

  private greet(hello: Hello): void {
    // What was read before the stream began may have changed in between, and before a restart anything may have.
    const anew = this.instance !== hello.instance;
    this.instance = hello.instance;
    this.seq ??= hello.last_seq;
    this.set("live");
    if (anew) void this.cache.invalidateQueries();
  }

  private move(progress: Progress[]): void {
    this.set("live");
    const news = new Map(progress.map((one) => [one.run_id, one]));
    this.patch((run) => {
      const now = news.get(run.id);
      if (now === undefined) return run;
      const { run_id: _, ...rest } = now;
      return { ...run, ...rest };
    });
    for (const one of progress) this.moved.add(one.run_id);
    this.drawing ??= setTimeout(() => this.redraw(), DRAW_MILLISECONDS);
  }

  /** Read the charts of runs that moved anew. */
  private redraw(): void {
    this.drawing = null;
    const moved = new Set(this.moved);
    this.moved.clear();
    void this.cache.invalidateQueries({
      predicate: ({ queryKey: [kind, , runIds] }) =>
        kind === "chart" && (runIds as readonly string[]).some((id) => moved.has(id)),
    });
  }

  private take(event: EventView): void {
    this.set("live");
    this.seq = event.seq;
    const { payload, run_id: runId } = event;
    if (payload.type === "run.state_changed") {
      const { after: state, reason, attempt, step } = payload;
      this.patch((run) => (run.id === runId ? { ...run, state, reason, attempt, step } : run));
    }
    if (CHANGES_LISTS.has(payload.type)) {
      void this.cache.invalidateQueries({ queryKey: ["runs"] });
      void this.cache.invalidateQueries({ queryKey: ["experiments"] });
    }
    if (payload.type === "run.state_changed") void this.cache.invalidateQueries({ queryKey: ["experiments"] });
    if (runId !== null) void this.cache.invalidateQueries({ queryKey: ["of-run", runId] });
    for (const listener of this.listeners) listener(event);
  }

  /** Change runs wherever they are shown. */
  private patch(change: (run: Run) => Run): void {
    this.cache.setQueriesData<RunPage>({ queryKey: ["runs"] }, (page) => {
      if (page === undefined) return page;
      const runs = page.runs.map(change);
      return runs.some((run, index) => run !== page.runs[index]) ? { ...page, runs } : page;
    });
    this.cache.setQueriesData<Run>({ queryKey: ["run"] }, (run) => run && change(run));
  }
}

const RETRY_MILLISECONDS = 1000;
const DRAW_MILLISECONDS = 1000;
const CHANGES_LISTS: ReadonlySet<string> = new Set([
  "run.created",
  "run.deleted",
  "experiment.created",
  "experiment.deleted",
  "control.acknowledged",
]);

export function useConnection(live: Live): Status {
  return useSyncExternalStore(live.watch, live.read);
}
