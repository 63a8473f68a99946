import { queryOptions } from "@tanstack/react-query";
import { ask, client } from "@/lib/api";

export const usageQuery = () =>
  queryOptions({
    queryKey: ["storage"],
    queryFn: () => ask(client.GET("/api/v1/storage", {})),
    staleTime: 0, // measured anew whenever the page is opened
  });

/** What runs, or all runs of experiments, take, and what deleting them would free. */
export const footprintQuery = (targets: readonly string[]) =>
  queryOptions({
    queryKey: ["storage", "footprint", targets],
    queryFn: () => ask(client.GET("/api/v1/storage/footprint", { params: { query: { target: [...targets] } } })),
    staleTime: 0,
    gcTime: 0, // measured anew whenever it is asked for
    retry: false,
  });
