/** What the page asks for, and under which key the answers are kept: ``live.ts`` changes them as things happen. */
import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { ask, client } from "./api";
import type { Axis } from "./axis";
import { news } from "./news";

const MOST_RUNS = 10_000;

export const serverQuery = () =>
  queryOptions({
    queryKey: ["server"],
    queryFn: () => ask(client.GET("/api/v1/server", {})),
    refetchInterval: 5_000, // agents come and go without an event
  });

export const experimentsQuery = () =>
  queryOptions({
    queryKey: ["experiments"],
    queryFn: () => ask(client.GET("/api/v1/experiments", {})),
  });

export const experimentQuery = (ref: string) =>
  queryOptions({
    queryKey: ["experiments", ref],
    queryFn: () => ask(client.GET("/api/v1/experiments/{ref}", { params: { path: { ref } } })),
  });

export interface RunsWanted {
  readonly experiment?: string;
  readonly filter?: string;
  readonly sort?: string;
  readonly columns: readonly string[];
}

export const runsQuery = ({ experiment, filter, sort, columns }: RunsWanted) =>
  queryOptions({
    queryKey: ["runs", { experiment, filter, sort, columns }],
    queryFn: async () => {
      const begun = performance.now();
      const query = {
        limit: MOST_RUNS,
        ...(experiment ? { experiment } : {}),
        ...(filter ? { filter } : {}),
        ...(sort ? { sort } : {}),
        ...(columns.length > 0 ? { column: [...columns] } : {}),
      };
      const page = await ask(client.GET("/api/v1/runs", { params: { query } }));
      return { ...page, runs: page.runs.map((run) => news.complete(run, begun)) };
    },
    placeholderData: keepPreviousData,
    retry: false,
  });

export const runQuery = (ref: string) =>
  queryOptions({
    queryKey: ["run", ref],
    queryFn: async () => {
      const begun = performance.now();
      return news.complete(await ask(client.GET("/api/v1/runs/{ref}", { params: { path: { ref } } })), begun);
    },
    retry: false,
  });

export const eventsQuery = (runId: string) =>
  queryOptions({
    queryKey: ["of-run", runId, "events"],
    queryFn: () => ask(client.GET("/api/v1/runs/{ref}/events", { params: { path: { ref: runId } } })),
  });

export const checkpointsQuery = (runId: string) =>
  queryOptions({
    queryKey: ["of-run", runId, "checkpoints"],
    queryFn: () => ask(client.GET("/api/v1/runs/{ref}/checkpoints", { params: { path: { ref: runId } } })),
  });

export const chartQuery = (metric: string, runIds: readonly string[], buckets: number, x: Axis = "step") =>
  queryOptions({
    queryKey: ["chart", metric, runIds, buckets, x],
    queryFn: () =>
      ask(
        client.GET("/api/v1/charts/{name}", {
          params: { path: { name: metric }, query: { run: [...runIds], buckets, x } },
        }),
      ),
    enabled: runIds.length > 0,
    // places on another axis are no placeholder
    placeholderData: (before, query) => (query?.queryKey[4] === x ? before : undefined),
  });
