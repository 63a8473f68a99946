/** The one connection and the one cache of the page. */
import { QueryCache, QueryClient } from "@tanstack/react-query";
import { ApiError } from "@/lib/api";
import { Live } from "@/lib/live";

export const cache = new QueryClient({
  queryCache: new QueryCache({
    onError: (error, query) => {
      // The login is over: whoever looks has to log in again.
      if (error instanceof ApiError && error.status === 401 && query.queryKey[0] !== "session")
        void cache.invalidateQueries({ queryKey: ["session"] });
    },
  }),
  defaultOptions: {
    queries: {
      staleTime: Number.POSITIVE_INFINITY, // the stream says when something changed
      refetchOnWindowFocus: false,
      retry: (count, error) => count < 3 && error instanceof ApiError && error.status === 0,
    },
  },
});

export const live = new Live(cache);
