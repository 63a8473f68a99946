/** What a board asks for besides runs and charts; ``live.ts`` reads it again when something happened in the experiment. */
import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { ask, client } from "@/lib/api";

export const fieldsQuery = (ref: string) =>
  queryOptions({
    queryKey: ["of-experiment", ref, "fields"],
    queryFn: () => ask(client.GET("/api/v1/experiments/{ref}/fields", { params: { path: { ref } } })),
  });

export const effectsQuery = (ref: string, metric: string | undefined, filter: string | undefined) =>
  queryOptions({
    queryKey: ["of-experiment", ref, "effects", metric, filter],
    queryFn: () => {
      const query = { ...(metric === undefined ? {} : { metric }), ...(filter === undefined ? {} : { filter }) };
      return ask(client.GET("/api/v1/experiments/{ref}/effects", { params: { path: { ref }, query } }));
    },
    placeholderData: keepPreviousData,
    retry: false,
  });

export const waysQuery = (ref: string) =>
  queryOptions({
    queryKey: ["of-experiment", ref, "ways"],
    queryFn: () => ask(client.GET("/api/v1/experiments/{ref}/ways", { params: { path: { ref } } })),
  });

export const searchQuery = (ref: string) =>
  queryOptions({
    queryKey: ["of-experiment", ref, "search"],
    queryFn: () => ask(client.GET("/api/v1/experiments/{ref}/search", { params: { path: { ref } } })),
  });

/** Read once: it may ask the machine for its devices. */
export const planQuery = (ref: string) =>
  queryOptions({
    queryKey: ["plan", ref],
    queryFn: () => ask(client.GET("/api/v1/experiments/{ref}/plan", { params: { path: { ref } } })),
    gcTime: 0,
    retry: false,
  });

export const comparisonQuery = (ref: string, runIds: readonly string[], all: boolean) =>
  queryOptions({
    queryKey: ["of-experiment", ref, "comparison", runIds, all],
    queryFn: () => ask(client.GET("/api/v1/comparison", { params: { query: { run: [...runIds], all } } })),
    enabled: runIds.length > 0,
    placeholderData: keepPreviousData,
    retry: false,
  });

export const viewsQuery = (project: string) =>
  queryOptions({
    queryKey: ["views", project],
    queryFn: () => ask(client.GET("/api/v1/projects/{project}/views", { params: { path: { project } } })),
  });
