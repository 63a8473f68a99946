import { QueryClient, QueryObserver } from "@tanstack/react-query";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Run } from "./api";
import { News } from "./news";
import { Refresher } from "./refresh";

const queryKey = ["runs", {}];
let cache: QueryClient;
let refresher: Refresher;
let answers: ((value: number) => void)[];
let leave: () => void;

/** Answer the oldest read that waits, and let the cache take it. */
async function answer(value: number): Promise<void> {
  answers.shift()?.(value);
  await new Promise((done) => setTimeout(done, 10));
}

beforeEach(() => {
  answers = [];
  cache = new QueryClient({ defaultOptions: { queries: { staleTime: Number.POSITIVE_INFINITY } } });
  refresher = new Refresher(cache);
  const queryFn = () => new Promise<number>((resolve) => answers.push(resolve));
  leave = new QueryObserver(cache, { queryKey, queryFn }).subscribe(() => {});
});

afterEach(() => {
  leave();
  cache.clear();
});

it("reads once more what was under way when an event came, the first read included", async () => {
  refresher.refresh({ queryKey: ["runs"] });
  await answer(1);
  expect(answers).toHaveLength(1);
  await answer(2);
  expect(cache.getQueryData(queryKey)).toBe(2);
  expect(answers).toHaveLength(0);
});

it("reads once for a hundred events, and gives no answer up", async () => {
  await answer(1);
  for (let event = 0; event < 100; event++) refresher.refresh({ queryKey: ["runs"] });
  expect(answers).toHaveLength(1);
  await answer(2);
  expect(cache.getQueryData(queryKey)).toBe(2);
  expect(answers).toHaveLength(1);
  await answer(3);
  expect(answers).toHaveLength(0);
});

it("leaves others alone", async () => {
  refresher.refresh({ queryKey: ["experiments"] });
  await answer(1);
  expect(answers).toHaveLength(0);
});

it("completes an answer by what was told while it was under way, and by nothing older", () => {
  const news = new News();
  const run = { id: "a", state: "running", step: 3 } as Run;
  news.tell("a", { state: "paused" }, 10);
  expect(news.complete(run, 11)).toBe(run);
  expect(news.complete(run, 9)).toEqual({ ...run, state: "paused" });
  news.tell("a", { step: 7 }, 12);
  expect(news.complete(run, 11)).toEqual({ id: "a", state: "paused", step: 7 });
  expect(news.complete({ ...run, id: "b" }, 0).step).toBe(3);
});
