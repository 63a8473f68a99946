import { queryOptions } from "@tanstack/react-query";
import { ask, client } from "@/lib/api";

export const queueQuery = () =>
  queryOptions({
    queryKey: ["queue"],
    queryFn: () => ask(client.GET("/api/v1/queue", {})),
    staleTime: 0, // what happened while the page was not open is not told again
    refetchInterval: 5_000, // agents come and go without an event
  });
