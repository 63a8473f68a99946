/** What the page of data asks for. */
import { queryOptions } from "@tanstack/react-query";
import { ask, client } from "@/lib/api";
import type { components } from "@/lib/api.gen";

type Schemas = components["schemas"];
export type Dataset = Schemas["DatasetView"];
export type Inspection = Schemas["InspectionView"];

const PROGRESS_MILLISECONDS = 500;

/** Under the key of experiments: it changes with them, by the same events. */
export const datasetsQuery = () =>
  queryOptions({
    queryKey: ["experiments", "datasets"],
    queryFn: () => ask(client.GET("/api/v1/datasets", {})),
  });

export const folderQuery = (path: string) =>
  queryOptions({
    queryKey: ["folder", path],
    queryFn: () => ask(client.GET("/api/v1/data/folder", { params: { query: { path } } })),
    staleTime: 0, // folders change without an event
    retry: false,
  });

/** Looked at twice a second while one is under way, since there are no events of it. */
export const inspectionsQuery = () =>
  queryOptions({
    queryKey: ["inspections"],
    queryFn: () => ask(client.GET("/api/v1/inspections", {})),
    refetchInterval: ({ state }) => (state.data?.some(isOpen) === true ? PROGRESS_MILLISECONDS : false),
  });

export const reportQuery = (id: string) =>
  queryOptions({
    queryKey: ["inspection", id],
    queryFn: () =>
      ask(client.GET("/api/v1/inspections/{inspection_id}", { params: { path: { inspection_id: id } } })),
    refetchInterval: ({ state }) => (state.data !== undefined && isOpen(state.data) ? PROGRESS_MILLISECONDS : false),
    retry: false,
  });

export function isOpen({ state }: Pick<Inspection, "state">): boolean {
  return state === "waiting" || state === "reading";
}

/** What `modelyard datasets inspect --json` prints, and pictures of each class as PNG in base64. */
export interface Report {
  readonly source: string;
  readonly path: string | null;
  readonly classes: readonly string[];
  readonly splits: Readonly<Record<string, Split>>;
  readonly width: Spread | null;
  readonly height: Spread | null;
  readonly modes: Readonly<Record<string, number>>;
  readonly duplicates: {
    readonly within_splits: number;
    readonly across_splits: number;
    readonly contradictory: number;
    readonly groups: readonly { readonly images: readonly string[]; readonly classes: readonly string[] }[];
  };
  readonly corrupt: readonly { readonly name: string; readonly reason: string }[];
  readonly imbalance: number | null;
  readonly fingerprint: string | null;
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
  readonly notes: readonly string[];
  readonly samples: Readonly<Record<string, readonly string[]>>;
}

interface Split {
  readonly count: number;
  readonly per_class: Readonly<Record<string, number>>;
  readonly drawn: boolean;
}

interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}
