/** What the page of a run asks for besides the run; see ``lib/queries.ts``. */
import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { ask, client, type Lines } from "@/lib/api";

export const lineageQuery = (runId: string) =>
  queryOptions({
    queryKey: ["lineage", runId],
    queryFn: () => ask(client.GET("/api/v1/runs/{ref}/lineage", { params: { path: { ref: runId } } })),
  });

export const artifactsQuery = (runId: string) =>
  queryOptions({
    queryKey: ["artifacts", "history", [runId]], // read anew when the run moves: no event tells of artifacts
    queryFn: () => ask(client.GET("/api/v1/runs/{ref}/artifacts", { params: { path: { ref: runId } } })),
  });

export const confusionQuery = (runId: string, name: string, step: number) =>
  queryOptions({
    queryKey: ["artifacts", `${name} ${step}`, [runId]],
    queryFn: () =>
      ask(
        client.GET("/api/v1/runs/{ref}/confusion/{name}", { params: { path: { ref: runId, name }, query: { step } } }),
      ),
    placeholderData: keepPreviousData,
  });

export const LINES_PER_PAGE = 500;
const UNSEEN_PAGES_MILLISECONDS = 30_000;

/** Lines ``index * LINES_PER_PAGE + 1`` and on; forgotten a while after they were last seen. */
export const logPageQuery = (runId: string, index: number) =>
  queryOptions({
    queryKey: ["log", runId, index],
    queryFn: async () => {
      const query = { after: index * LINES_PER_PAGE, limit: LINES_PER_PAGE };
      return (await ask(client.GET("/api/v1/runs/{ref}/logs", { params: { path: { ref: runId }, query } }))).lines;
    },
    gcTime: UNSEEN_PAGES_MILLISECONDS,
  });

const MOST_TROUBLE = 5_000;

/** Read once as a whole, and then only what came since. */
export const logTroubleQuery = (runId: string) => {
  const queryKey = ["log-search", runId, "trouble"] as const;
  return queryOptions({
    queryKey,
    queryFn: async ({ client: cache }) => {
      const before = cache.getQueryData<Lines>(queryKey);
      const query = { after: before?.next ?? 0, limit: MOST_TROUBLE, trouble: true };
      const found = await ask(client.GET("/api/v1/runs/{ref}/logs", { params: { path: { ref: runId }, query } }));
      return { ...found, lines: [...(before?.lines ?? []), ...found.lines] };
    },
  });
};

export const MOST_MATCHES = 10_000;

export const logMatchesQuery = (runId: string, text: string) =>
  queryOptions({
    queryKey: ["log-search", runId, "text", text],
    queryFn: () =>
      ask(
        client.GET("/api/v1/runs/{ref}/logs/matches", {
          params: { path: { ref: runId }, query: { text, limit: MOST_MATCHES } },
        }),
      ),
    enabled: text !== "",
    placeholderData: (before) => (text === "" ? [] : before),
  });

export const SAMPLES_PER_PAGE = 48;

interface SamplesWanted {
  readonly target?: number | undefined;
  readonly predicted?: number | undefined;
  readonly offset: number;
}

export const samplesQuery = (runId: string, { target, predicted, offset }: SamplesWanted) =>
  queryOptions({
    queryKey: ["samples", runId, target, predicted, offset],
    queryFn: () => {
      const query = {
        limit: SAMPLES_PER_PAGE,
        offset,
        ...(target === undefined ? {} : { target }),
        ...(predicted === undefined ? {} : { predicted }),
      };
      return ask(client.GET("/api/v1/runs/{ref}/samples", { params: { path: { ref: runId }, query } }));
    },
    placeholderData: keepPreviousData,
    retry: false,
  });
