import { QueryClient, QueryObserver } from "@tanstack/react-query";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { EventView, Progress, Run, RunPage } from "./api";
import { Live } from "./live";

class FakeSource {
  static readonly CLOSED = 2;
  static made: FakeSource[] = [];
  readyState = 1;
  onopen: (() => void) | null = null;
  onerror: (() => void) | null = null;
  private readonly listeners = new Map<string, (message: { data: string }) => void>();
  constructor(readonly url: string) {
    FakeSource.made.push(this);
  }
  addEventListener(kind: string, listener: (message: { data: string }) => void) {
    this.listeners.set(kind, listener);
  }
  close() {
    this.readyState = 2;
  }
  tell(kind: string, data: unknown) {
    this.listeners.get(kind)?.({ data: JSON.stringify(data) });
  }
}

let cache: QueryClient;
let live: Live;
const source = () => FakeSource.made.at(-1) as FakeSource;
const key = ["runs", {}];

beforeEach(() => {
  vi.useFakeTimers();
  FakeSource.made = [];
  vi.stubGlobal("EventSource", FakeSource);
  cache = new QueryClient();
  const runs = [{ id: "a", state: "running", step: 1 } as Run, { id: "b", state: "queued", step: 0 } as Run];
  cache.setQueryData<RunPage>(key, { total: 2, offset: 0, as_of: 1, runs, columns: {} });
  live = new Live(cache);
  live.start();
});

afterEach(() => {
  live.stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const page = () => cache.getQueryData<RunPage>(key) as RunPage;
const changed = (seq: number) =>
  ({
    seq,
    run_id: "b",
    payload: { type: "run.state_changed", before: "queued", after: "running", reason: {}, attempt: 1, step: 0 },
  }) as unknown as EventView;

it("changes the runs that moved, and no others", () => {
  const before = page().runs;
  source().tell("progress", [{ run_id: "a", state: "running", step: 7 } as Progress]);
  expect(page().runs[0]?.step).toBe(7);
  expect(page().runs[0]?.id).toBe("a");
  expect(page().runs[1]).toBe(before[1]);
});

it("leaves what is shown alone where nothing changed", () => {
  const before = page();
  source().tell("progress", [{ run_id: "elsewhere", step: 7 } as Progress]);
  expect(page()).toBe(before);
});

it("changes states by events", () => {
  source().tell("event", changed(5));
  expect(page().runs[1]?.state).toBe("running");
});

it("goes on after the last event when the browser gave the connection up", () => {
  source().tell("hello", { instance: "x", last_seq: 3 });
  source().tell("event", changed(5));
  source().readyState = FakeSource.CLOSED;
  source().onerror?.();
  expect(live.read().connection).toBe("lost");
  vi.advanceTimersByTime(1000);
  expect(FakeSource.made).toHaveLength(2);
  expect(source().url).toBe("/api/v1/stream?after=5");
});

it("follows the lines of a log over the same connection, each line once", () => {
  const told: number[] = [];
  source().tell("hello", { instance: "x", last_seq: 3 });
  const line = (number: number) => ({ number, text: `line ${number}` });
  const end = live.follow("a", 2, (lines) => told.push(...lines.map((one) => one.number)));
  expect(FakeSource.made[0]?.readyState).toBe(FakeSource.CLOSED);
  expect(source().url).toBe("/api/v1/stream?after=3&lines=a%2C2");
  source().tell("lines", { run_id: "a", lines: [line(3), line(4)], next: 4 });
  source().tell("lines", { run_id: "a", lines: [line(4), line(5)], next: 5 });
  source().tell("lines", { run_id: "b", lines: [line(9)], next: 9 });
  expect(told).toEqual([3, 4, 5]);
  source().onerror?.();
  vi.advanceTimersByTime(1000);
  expect(source().url).toBe("/api/v1/stream?after=3&lines=a%2C5");
  end();
  expect(source().url).toBe("/api/v1/stream?after=3");
});

it("reads anew what was read before the stream began, and everything from another server", () => {
  const anew = vi.spyOn(cache, "invalidateQueries");
  source().tell("hello", { instance: "x", last_seq: 3 });
  expect(anew).toHaveBeenCalledTimes(1);
  source().tell("hello", { instance: "x", last_seq: 3 });
  expect(anew).toHaveBeenCalledTimes(1);
  source().tell("hello", { instance: "y", last_seq: 3 });
  expect(anew).toHaveBeenCalledTimes(2);
});

it("draws charts anew at most once a second, and only those of runs that moved", () => {
  cache.setQueryData(["chart", "loss", ["a"], 9], {});
  cache.setQueryData(["chart", "loss", ["b"], 9], {});
  const stale = (id: string) => cache.getQueryState(["chart", "loss", [id], 9])?.isInvalidated;
  source().tell("progress", [{ run_id: "a", step: 7 } as Progress]);
  source().tell("progress", [{ run_id: "a", step: 8 } as Progress]);
  expect(stale("a")).toBe(false);
  vi.advanceTimersByTime(1000);
  expect([stale("a"), stale("b")]).toEqual([true, false]);
});

it("asks anew which runs match a filter, and in what order, when runs moved", () => {
  const sorted = ["runs", { sort: "-val_loss" }];
  cache.setQueryData(sorted, page());
  source().tell("event", changed(5));
  vi.advanceTimersByTime(1000);
  expect(cache.getQueryState(sorted)?.isInvalidated).toBe(true);
  expect(cache.getQueryState(key)?.isInvalidated).toBe(false);
});

it("reads an experiment's parts anew once a second at most, and those of no other", async () => {
  let reads = 0;
  const read = () => Promise.resolve((reads += 1));
  const query = (id: string) => ({ queryKey: ["of-experiment", id, "search"], queryFn: read });
  const watching = [new QueryObserver(cache, query("e1")), new QueryObserver(cache, query("e2"))].map((one) => one.subscribe(() => {}));
  await vi.advanceTimersByTimeAsync(0);
  expect(reads).toBe(2);
  const decided = (seq: number) =>
    ({ seq, run_id: null, experiment_id: "e1", payload: { type: "search.decided", decision: {} } }) as unknown as EventView;
  for (let seq = 1; seq <= 20; seq += 1) source().tell("event", decided(seq));
  await vi.advanceTimersByTimeAsync(1000);
  expect(reads).toBe(3);
  for (const stop of watching) stop();
});
