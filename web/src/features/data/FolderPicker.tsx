import { useQuery, useQueryClient } from "@tanstack/react-query";
import { CornerLeftUp, Folder } from "lucide-react";
import { useState } from "react";
import { Button } from "@/components/ui/button";
import { INPUT } from "@/components/ui/field";
import { Failure } from "@/components/ui/message";
import { ask, client } from "@/lib/api";
import type { components } from "@/lib/api.gen";
import { messageOf } from "../steering/pending";
import { folderQuery } from "./queries";

type Source = NonNullable<components["schemas"]["InspectionRequest"]["source"]>;

const SOURCES = ["digits", "image-folder", "parquet", "huggingface", "idx"] as const;

/** Chooses a folder of the server's machine, and has it looked at. */
export function FolderPicker({ onStarted }: { readonly onStarted: (id: string) => void }) {
  const cache = useQueryClient();
  const [at, setAt] = useState("");
  const [typed, setTyped] = useState<string | null>(null);
  const [source, setSource] = useState("");
  const [error, setError] = useState<Error | null>(null);
  const folder = useQuery(folderQuery(at));
  const path = typed ?? folder.data?.path ?? "";
  const go = (next: string) => {
    setAt(next);
    setTyped(null);
    setError(null);
  };
  const inspect = async () => {
    setError(null);
    try {
      const body = { path, source: source === "" ? null : (source as Source) };
      const started = await ask(client.POST("/api/v1/inspections", { body }));
      void cache.invalidateQueries({ queryKey: ["inspections"] });
      onStarted(started.id);
    } catch (failed) {
      setError(new Error(messageOf(failed)));
    }
  };
  return (
    <section aria-label="Look at data" className="flex flex-col gap-2 border border-line bg-panel p-3">
      <h2 className="font-medium text-dim">Look at data</h2>
      <form
        className="flex flex-wrap items-center gap-2"
        onSubmit={(event) => {
          event.preventDefault();
          void inspect();
        }}
      >
        <input
          aria-label="Folder or file on the server's machine"
          className={`${INPUT} min-w-0 flex-1 basis-60 font-mono text-xs`}
          value={path}
          placeholder="a folder, a file, or digits"
          onChange={(event) => setTyped(event.target.value)}
        />
        <select aria-label="Kind of data" className={INPUT} value={source} onChange={(event) => setSource(event.target.value)}>
          <option value="">find out by looking</option>
          {SOURCES.map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
        <Button onClick={() => go(path)}>Open folder</Button>
        <Button type="submit" look="primary" disabled={path === ""}>
          Look at it
        </Button>
      </form>
      {(error ?? folder.error) !== null && <Failure error={(error ?? folder.error) as Error} />}
      {folder.data !== undefined && (
        <ul aria-label="Folders" className="flex max-h-40 flex-wrap gap-x-4 gap-y-1 overflow-auto">
          {folder.data.parent !== null && (
            <li>
              <button
                type="button"
                className="flex items-center gap-1 text-accent hover:underline"
                onClick={() => go(folder.data.parent ?? "")}
              >
                <CornerLeftUp size={14} aria-hidden /> up
              </button>
            </li>
          )}
          {folder.data.folders.map((name) => (
            <li key={name}>
              <button
                type="button"
                className="flex items-center gap-1 text-accent hover:underline"
                onClick={() => go(`${folder.data.path}/${name}`)}
              >
                <Folder size={14} aria-hidden /> {name}
              </button>
            </li>
          ))}
          <li className="text-dim">
            {folder.data.files === 1 ? "1 file" : `${folder.data.files} files`}
            {folder.data.truncated && ", and more folders than are listed"}
          </li>
        </ul>
      )}
    </section>
  );
}
