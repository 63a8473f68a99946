/** What the settings show, and that it is read anew once it was changed. */
import { queryOptions, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { ask, client } from "@/lib/api";

export const usersQuery = () =>
  queryOptions({ queryKey: ["access", "users"], queryFn: () => ask(client.GET("/api/v1/users", {})) });

export const tokensQuery = () =>
  queryOptions({ queryKey: ["access", "tokens"], queryFn: () => ask(client.GET("/api/v1/tokens", {})) });

export const secretsQuery = () =>
  queryOptions({ queryKey: ["access", "secrets"], queryFn: () => ask(client.GET("/api/v1/secrets", {})) });

export const rulesQuery = () =>
  queryOptions({ queryKey: ["access", "rules"], queryFn: () => ask(client.GET("/api/v1/alerts/rules", {})) });

export const alertsQuery = () =>
  queryOptions({
    queryKey: ["access", "alerts"],
    queryFn: () => ask(client.GET("/api/v1/alerts", {})),
    refetchInterval: 5_000, // sending is no event
  });

interface Change {
  /** Do it; returns whether that went well. */
  readonly act: (change: () => Promise<unknown>) => Promise<boolean>;
  readonly error: Error | null;
}

export function useChange(): Change {
  const cache = useQueryClient();
  const [error, setError] = useState<Error | null>(null);
  const act = async (change: () => Promise<unknown>) => {
    setError(null);
    try {
      await change();
      return true;
    } catch (failed) {
      setError(failed as Error);
      return false;
    } finally {
      void cache.invalidateQueries({ queryKey: ["access"] });
    }
  };
  return { act, error };
}
