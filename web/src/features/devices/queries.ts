import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { ask, client } from "@/lib/api";

/** A device is read so often; no event tells of it. */
const READING_MILLISECONDS = 5_000;
const BUCKETS = 300;

export const devicesQuery = () =>
  queryOptions({
    queryKey: ["devices"],
    queryFn: () => ask(client.GET("/api/v1/devices", {})),
    staleTime: 0,
    refetchInterval: READING_MILLISECONDS,
  });

export const historyQuery = (host: string, device: string, seconds: number) =>
  queryOptions({
    queryKey: ["devices", host, device, seconds],
    queryFn: () => {
      const start = new Date(Date.now() - seconds * 1000).toISOString();
      return ask(client.GET("/api/v1/devices/history", { params: { query: { host, device, start, buckets: BUCKETS } } }));
    },
    staleTime: 0,
    refetchInterval: Math.max(READING_MILLISECONDS, (seconds * 1000) / BUCKETS), // as often as there is a new bucket
    placeholderData: keepPreviousData,
  });

export const runDevicesQuery = (runId: string, trains: boolean) =>
  queryOptions({
    queryKey: ["of-run", runId, "devices"],
    queryFn: () => ask(client.GET("/api/v1/runs/{ref}/devices", { params: { path: { ref: runId }, query: { buckets: BUCKETS } } })),
    staleTime: 0,
    ...(trains && { refetchInterval: READING_MILLISECONDS }),
  });
