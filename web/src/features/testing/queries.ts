/** What is asked of the models. */
import { queryOptions } from "@tanstack/react-query";
import { ask, client } from "@/lib/api";

/** An image that was dropped. */
export interface Dropped {
  readonly id: number;
  readonly file: File;
  /** Where the browser has it. */
  readonly url: string;
}

export const predictionsQuery = ({ id, file }: Dropped, models: readonly string[]) =>
  queryOptions({
    queryKey: ["predictions", id, models],
    queryFn: () =>
      ask(
        client.POST("/api/v1/predictions", {
          params: { query: { model: [...models], name: file.name } },
          body: file as unknown as string,
          bodySerializer: (body: unknown) => body as BodyInit,
          headers: { "content-type": file.type || "application/octet-stream" },
        }),
      ),
    enabled: models.length > 0,
    retry: false,
    gcTime: 0,
  });

export const folderQuery = (path: string) =>
  queryOptions({
    queryKey: ["folder", path],
    queryFn: () => ask(client.GET("/api/v1/folders", { params: { query: { path } } })),
    enabled: path !== "",
    retry: false,
    gcTime: 0,
  });
