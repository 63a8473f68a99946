/** Reads again what an event made old: one read at a time, and none is lost. */
import type { QueryClient, QueryFilters } from "@tanstack/react-query";

/**
 * An answer that is under way when an event comes may be older than the event. It is neither trusted (a query that has
 * no data yet ignores being invalidated) nor given up (in a burst none would ever arrive): it is read once more.
 */
export class Refresher {
  private readonly again = new Set<string>();

  constructor(private readonly cache: QueryClient) {
    cache.getQueryCache().subscribe(({ query }) => {
      if (query.state.fetchStatus === "idle" && this.again.delete(query.queryHash))
        void cache.invalidateQueries({ queryKey: query.queryKey, exact: true });
    });
  }

  refresh(which: QueryFilters = {}): void {
    for (const query of this.cache.getQueryCache().findAll(which))
      if (query.state.fetchStatus !== "idle") this.again.add(query.queryHash);
    void this.cache.invalidateQueries(which, { cancelRefetch: false });
  }
}
