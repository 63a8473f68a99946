/** What the builder asks for; both answers stay the same as long as a server runs. */
import { queryOptions } from "@tanstack/react-query";
import { ask, client } from "@/lib/api";

export const schemaQuery = () =>
  queryOptions({ queryKey: ["schema"], queryFn: () => ask(client.GET("/api/v1/schema", {})) });

export const presetsQuery = () =>
  queryOptions({ queryKey: ["presets"], queryFn: () => ask(client.GET("/api/v1/presets", {})) });

export const sweepTextQuery = (ref: string) =>
  queryOptions({
    queryKey: ["sweep-text", ref],
    queryFn: () => ask(client.GET("/api/v1/experiments/{ref}/text", { params: { path: { ref } } })),
    retry: false,
  });
