import { useQuery } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { Button } from "@/components/ui/button";
import { INPUT } from "@/components/ui/field";
import { Failure } from "@/components/ui/message";
import { ask, client, type FilePredictions } from "@/lib/api";
import { number } from "@/lib/format";
import { csv } from "./csv";
import { folderQuery } from "./queries";

const FILES_PER_REQUEST = 16;
const MOST_ROWS = 500;

/** All images of a folder of the server's machine. */
export function FolderTest({ models }: { readonly models: readonly string[] }) {
  const [typed, setTyped] = useState("");
  const [path, setPath] = useState("");
  const folder = useQuery(folderQuery(path));
  return (
    <section className="flex flex-col gap-2">
      <h2 className="font-semibold">A folder of the server</h2>
      <form
        className="flex flex-wrap gap-2"
        onSubmit={(event) => {
          event.preventDefault();
          if (typed.trim() === path) void folder.refetch();
          else setPath(typed.trim());
        }}
      >
        <input
          aria-label="Folder"
          placeholder="~/pictures"
          value={typed}
          onChange={(event) => setTyped(event.target.value)}
          className={`${INPUT} w-96 max-w-full font-mono text-xs`}
        />
        <Button type="submit">Find images</Button>
      </form>
      {folder.error !== null && <Failure error={folder.error} />}
      {folder.data !== undefined && <Files key={folder.data.folder} folder={folder.data.folder} files={folder.data.files} models={models} />}
    </section>
  );
}

interface Options {
  readonly folder: string;
  readonly files: readonly string[];
  readonly models: readonly string[];
}

function Files({ folder, files, models }: Options) {
  const [rows, setRows] = useState<readonly FilePredictions[]>([]);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const stopped = useRef(false);
  const predict = async () => {
    stopped.current = false;
    setBusy(true);
    setError(null);
    setRows([]);
    try {
      for (let start = 0; start < files.length && !stopped.current; start += FILES_PER_REQUEST) {
        const body = { folder, files: files.slice(start, start + FILES_PER_REQUEST), models: [...models] };
        const found = await ask(client.POST("/api/v1/predictions/files", { body }));
        setRows((before) => [...before, ...found]);
      }
    } catch (failed) {
      setError(failed as Error);
    } finally {
      setBusy(false);
    }
  };
  const save = () => {
    const url = URL.createObjectURL(new Blob([csv(rows)], { type: "text/csv" }));
    Object.assign(document.createElement("a"), { href: url, download: "predictions.csv" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  };
  const restarted = rows.some((row) => row.restarted);
  return (
    <>
      <div className="flex flex-wrap items-center gap-3">
        <Button look="primary" disabled={busy || models.length === 0 || files.length === 0} onClick={() => void predict()}>
          Predict {number(files.length)} images
        </Button>
        {busy && (
          <Button
            onClick={() => {
              stopped.current = true;
            }}
          >
            Stop
          </Button>
        )}
        <Button disabled={rows.length === 0} onClick={save}>
          Save as CSV
        </Button>
        <span aria-live="polite" className="tabular text-dim">
          {rows.length > 0 && `${number(rows.length)} of ${number(files.length)}`}
          {rows.length > MOST_ROWS && `, the first ${MOST_ROWS} are shown`}
        </span>
      </div>
      {error !== null && <Failure error={error} />}
      {restarted && <p aria-live="polite" className="text-warn">The process that predicts had ended; another one was started.</p>}
      {rows.length > 0 && <Rows rows={rows.slice(0, MOST_ROWS)} />}
    </>
  );
}

function Rows({ rows }: { readonly rows: readonly FilePredictions[] }) {
  return (
    <div className="max-h-[32rem] overflow-auto" tabIndex={0} role="region" aria-label="Predictions of the folder">
      <table className="w-full border border-line bg-panel text-left">
        <thead className="text-dim">
          <tr className="border-b border-line">
            {["File", "Run", "Class", "Probability"].map((title) => (
              <th key={title} scope="col" className="px-3 py-1.5 font-medium">
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.flatMap(({ file, predictions }) =>
            predictions.map((one) => (
              <tr key={`${file} ${one.model}`} className="border-b border-line last:border-0">
                <td className="px-3 py-1 break-all">{file}</td>
                <td className="px-3 py-1">{one.run}</td>
                <td className={`px-3 py-1 ${one.error ? "text-bad" : ""}`}>{one.label ?? one.error}</td>
                <td className="tabular px-3 py-1">
                  {one.label !== null && `${((one.probabilities[one.label] ?? 0) * 100).toFixed(1)}%`}
                </td>
              </tr>
            )),
          )}
        </tbody>
      </table>
    </div>
  );
}
