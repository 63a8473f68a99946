/** Follows the server's stream and keeps what the page shows true: one connection for the whole page. */
import type { QueryClient } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";
import type { EventView, Hello, Lines, LogLine, Progress, Run, RunPage } from "./api";
import { type News, news } from "./news";
import type { RunsWanted } from "./queries";
import { Refresher } from "./refresh";

type Connection = "connecting" | "live" | "lost";

interface Status {
  readonly connection: Connection;
  /** When the last message came, in milliseconds since 1970. */
  readonly heard: number;
}

type Listener = (event: EventView) => void;

/** The log that is being followed: one at a time, since one is looked at. */
interface Followed {
  readonly runId: string;
  /** The number of the last line that was told. */
  last: number;
  readonly told: (lines: readonly LogLine[]) => void;
}

/** Reconnects by itself, and goes on after the last event that it saw. */
export class Live {
  private status: Status = { connection: "connecting", heard: Date.now() };
  private readonly watchers = new Set<() => void>();
  private readonly listeners = new Set<Listener>();
  private instance = "";
  private seq: number | null = null;
  private readonly moved = new Set<string>();
  /** Experiments of which something was told. */
  private readonly touched = new Set<string>();
  private drawing: ReturnType<typeof setTimeout> | null = null;
  private source: EventSource | null = null;
  private followed: Followed | null = null;

  private readonly refresher: Refresher;

  constructor(
    private readonly cache: QueryClient,
    private readonly told: News = news,
  ) {
    this.refresher = new Refresher(cache);
  }

  start(): void {
    const source = new EventSource(this.address());
    this.source = source;
    source.onopen = () => this.set("live");
    source.onerror = () => {
      this.set("lost");
      // A browser gives up on some errors (a proxy's answer while the server restarts); we do not.
      // And by itself it would ask again for every line that came since it was opened.
      if (source.readyState !== EventSource.CLOSED && this.followed === null) return;
      source.close();
      setTimeout(() => this.restart(), RETRY_MILLISECONDS);
      void this.cache.invalidateQueries({ queryKey: ["session"] }); // perhaps the login is over
    };
    source.addEventListener("hello", (message) => this.greet(JSON.parse(message.data) as Hello));
    source.addEventListener("event", (message) => this.take(JSON.parse(message.data) as EventView));
    source.addEventListener("progress", (message) => this.move(JSON.parse(message.data) as Progress[]));
    source.addEventListener("lines", (message) => this.append(JSON.parse(message.data) as Lines));
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

  /** Have each line of a run's log after number ``last`` told, once and in order; returns what ends that. */
  follow(runId: string, last: number, told: Followed["told"]): () => void {
    const one = { runId, last, told };
    this.followed = one;
    this.restart();
    return () => {
      if (this.followed !== one) return;
      this.followed = null;
      this.restart();
    };
  }

  readonly watch = (watcher: () => void): (() => void) => {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  };

  readonly read = (): Status => this.status;

  private address(): string {
    const asked = new URLSearchParams();
    if (this.seq !== null) asked.set("after", String(this.seq));
    if (this.followed !== null) asked.set("lines", `${this.followed.runId},${this.followed.last}`);
    return asked.size === 0 ? "/api/v1/stream" : `/api/v1/stream?${asked}`;
  }

  private append({ run_id: runId, lines }: Lines): void {
    const one = this.followed;
    if (one?.runId !== runId) return;
    const news = lines.filter((line) => line.number > one.last);
    one.last = news.at(-1)?.number ?? one.last;
    if (news.length > 0) one.told(news);
  }

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
    if (anew) this.refresher.refresh();
  }

  private move(progress: Progress[]): void {
    this.set("live");
    this.change(new Map(progress.map(({ run_id: id, ...rest }) => [id, rest])));
  }

  /** Read anew what runs that moved may have changed: their charts, and which runs match a filter in what order. */
  private redraw(): void {
    this.drawing = null;
    const moved = new Set(this.moved);
    this.moved.clear();
    this.refresher.refresh({
      predicate: ({ queryKey: [kind, , runIds] }) =>
        (kind === "chart" || kind === "artifacts") && (runIds as readonly string[]).some((id) => moved.has(id)),
    });
    this.refresher.refresh({
      predicate: ({ queryKey: [kind, wanted] }) => {
        const { filter, sort, columns = [] } = (wanted ?? {}) as Partial<RunsWanted>;
        return kind === "runs" && (filter !== undefined || sort !== undefined || columns.some(changes));
      },
    });
    const touched = new Set(this.touched);
    this.touched.clear();
    this.refresher.refresh({
      predicate: ({ queryKey: [kind, experimentId] }) =>
        kind === "of-experiment" && touched.has(experimentId as string),
    });
  }

  private take(event: EventView): void {
    this.set("live");
    this.seq = event.seq;
    const { payload, run_id: runId } = event;
    if (payload.type === "run.state_changed" && runId !== null) {
      const { after: state, reason, attempt, step } = payload;
      this.change(new Map([[runId, { state, reason, attempt, step }]]));
      this.refresher.refresh({ queryKey: ["experiments"] });
    }
    if (CHANGES_LISTS.has(payload.type)) {
      this.refresher.refresh({ queryKey: ["runs"] });
      this.refresher.refresh({ queryKey: ["experiments"] });
      this.refresher.refresh({ queryKey: ["lineage"] });
    }
    if (runId !== null) this.refresher.refresh({ queryKey: ["of-run", runId] });
    if (payload.type === "view.saved" || payload.type === "view.deleted")
      this.refresher.refresh({ queryKey: ["views", payload.project] });
    if (event.experiment_id !== null && !payload.type.startsWith("checkpoint.")) {
      this.touched.add(event.experiment_id);
      this.drawSoon();
    }
    for (const listener of this.listeners) listener(event);
  }

  private drawSoon(): void {
    this.drawing ??= setTimeout(() => this.redraw(), DRAW_MILLISECONDS);
  }

  /** Change runs wherever they are shown, or will be once the answer that is under way comes. */
  private change(changes: ReadonlyMap<string, Partial<Run>>): void {
    for (const [id, one] of changes) {
      this.told.tell(id, one);
      this.moved.add(id);
    }
    this.drawSoon();
    const change = (run: Run) => (changes.has(run.id) ? { ...run, ...changes.get(run.id) } : run);
    this.cache.setQueriesData<RunPage>({ queryKey: ["runs"] }, (page) => {
      if (page === undefined) return page;
      const runs = page.runs.map(change);
      return runs.some((run, index) => run !== page.runs[index]) ? { ...page, runs } : page;
    });
    this.cache.setQueriesData<Run>({ queryKey: ["run"] }, (run) => run && change(run));
  }
}

/** Whether a column of the list is more than a field of the config, which only a tune changes. */
function changes(column: string): boolean {
  return !column.includes(".") || column.startsWith("best.");
}

const RETRY_MILLISECONDS = 1000;
const DRAW_MILLISECONDS = 1000;
const CHANGES_LISTS: ReadonlySet<string> = new Set([
  "run.created",
  "run.deleted",
  "experiment.created",
  "experiment.deleted",
  "experiment.imported",
  "control.acknowledged",
]);

export function useConnection(live: Live): Status {
  return useSyncExternalStore(live.watch, live.read);
}
