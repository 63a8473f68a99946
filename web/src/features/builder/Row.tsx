import clsx from "clsx";
import { Shuffle } from "lucide-react";
import type { ReactNode } from "react";
import { DimensionEditor } from "./DimensionEditor";
import { get, type Path } from "./document";
import { dimension, mistakesAt, searched, SPACE, useForm } from "./form";

interface RowOptions {
  readonly path: Path;
  /** Where mistakes are looked for, if not at the path. */
  readonly wrongAt?: Path;
  readonly about: string;
  /** The value to begin with when it is varied; without one it cannot be. */
  readonly vary?: unknown;
  readonly id: string;
  readonly children: ReactNode;
}

/** A name, its control or the values that are searched, what it means, and what is wrong with it. */
export function Row({ path, wrongAt, about, vary, id, children }: RowOptions) {
  const { document, edit, explain, mistakes } = useForm();
  const name = vary === undefined ? null : searched(path);
  const found = name === null ? null : dimension(document, name);
  const method = get(document, ["search", "method"]);
  const wrong = [
    ...mistakesAt(mistakes, wrongAt ?? path, wrongAt === undefined && vary !== undefined),
    ...(name === null ? [] : mistakesAt(mistakes, [...SPACE, name], true)),
  ];
  const begin = () => {
    if (name === null) return;
    const grid = method === undefined || method === "single" ? [{ path: ["search", "method"], value: "grid" }] : [];
    edit(...grid, { path: [...SPACE, name], value: { choice: [vary] } });
  };
  return (
    <div className="flex flex-wrap items-center gap-x-2 py-0.5">
      <span className={clsx("w-40 shrink-0 font-mono text-xs", found === null ? "text-dim" : "text-accent")} title={about}>
        {path.at(-1)}
      </span>
      <span className="flex min-w-40 flex-1 items-center gap-1">
        {found === null || name === null ? children : <DimensionEditor name={name} found={found} />}
        {name !== null && found === null && (
          <button
            type="button"
            aria-label={`Vary ${name}`}
            title="Let the search vary it"
            className="shrink-0 rounded p-1 text-dim hover:bg-page hover:text-text"
            onClick={begin}
          >
            <Shuffle size={14} aria-hidden />
          </button>
        )}
      </span>
      <span id={id} className={clsx("w-full text-xs", wrong.length > 0 ? "text-bad" : explain ? "pb-1 text-dim" : "sr-only")}>
        {wrong.length > 0 ? wrong.map((one) => one.message).join("; ") : about}
      </span>
    </div>
  );
}
