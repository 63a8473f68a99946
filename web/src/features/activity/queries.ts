import { infiniteQueryOptions } from "@tanstack/react-query";
import { ask, client } from "@/lib/api";
import { GROUPS, type Group } from "./kinds";

/** What is wanted of everything that happened; it is in the address. */
export interface Wanted {
  readonly kind?: Group | undefined;
  readonly actor?: string | undefined;
  readonly experiment?: string | undefined;
  readonly run?: string | undefined;
}

export const activityQuery = ({ kind = "all", actor, experiment, run }: Wanted) =>
  infiniteQueryOptions({
    queryKey: ["activity", { kind, actor, experiment, run }],
    queryFn: ({ pageParam }) => {
      const query = {
        kind: [...GROUPS[kind]],
        ...(pageParam === null ? {} : { before: pageParam }),
        ...(actor === undefined ? {} : { actor }),
        ...(experiment === undefined ? {} : { experiment }),
        ...(run === undefined ? {} : { run }),
      };
      return ask(client.GET("/api/v1/activity", { params: { query } }));
    },
    initialPageParam: null as number | null,
    getNextPageParam: (page) => page.next,
    staleTime: 0, // what happened while the page was not open is not told again
    retry: false,
  });
