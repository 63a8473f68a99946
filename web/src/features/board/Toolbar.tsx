import { lazy, Suspense, useEffect, useId, useState } from "react";
import { Button } from "@/components/ui/button";
import { INPUT } from "@/components/ui/field";
import type { Field } from "@/lib/api";
import { AXES } from "@/lib/axis";
import { BEST, DRAWN } from "./columns";
import { type BoardView, parseView } from "./view";

const FieldChooser = lazy(() => import("./FieldChooser"));
const ViewsDialog = lazy(() => import("./ViewsDialog"));

interface Options {
  readonly project: string;
  readonly view: BoardView;
  /** Changes a part of what the address says. */
  readonly onChange: (next: BoardView) => void;
  /** Puts another view in its place. */
  readonly onLoad: (view: BoardView) => void;
  readonly fields: readonly Field[];
  readonly columns: readonly string[];
  readonly charts: boolean;
  readonly table: boolean;
}

/** What is seen of the runs, and how. */
export function Toolbar({ project, view, onChange, onLoad, fields, columns, charts, table }: Options) {
  const [open, setOpen] = useState<"columns" | "views" | null>(null);
  const metrics = fields.filter((field) => field.kind === "metric").map((field) => field.name);
  const others = fields.filter((field) => field.kind !== "metric").map((field) => field.name);
  const offered = [...new Set([...Object.keys(DRAWN), ...metrics.flatMap((name) => [name, BEST + name]), ...others])];
  return (
    <div className="flex flex-wrap items-center gap-x-4 gap-y-2 text-dim">
      <Filter text={view.filter ?? ""} onFilter={(filter) => onChange({ filter })} />
      {charts && <Drawing view={view} onChange={onChange} fields={fields} />}
      <div className="flex gap-2 text-text">
        {table && <Button onClick={() => setOpen("columns")}>Columns</Button>}
        <Button onClick={() => setOpen("views")}>Views</Button>
      </div>
      <Suspense fallback={null}>
        {open === "columns" && (
          <FieldChooser
            title="Columns"
            about="Any field of the runs or their configs, and any metric: its last value, or its best."
            open
            onOpen={() => setOpen(null)}
            chosen={columns}
            offered={offered}
            onChoose={(chosen) => onChange({ columns: chosen })}
          />
        )}
        {open === "views" && <ViewsDialog project={project} view={parseView({ ...view })} open onOpen={() => setOpen(null)} onLoad={onLoad} />}
      </Suspense>
    </div>
  );
}

/** How charts are drawn. */
function Drawing({ view, onChange, fields }: Pick<Options, "view" | "onChange" | "fields">) {
  const config = fields.filter((field) => field.kind === "config");
  const grouped = [
    ...config.filter((field) => field.differs).map((field) => field.name),
    ...["state", "reason", "parent", "how", "attempt", "priority"].filter((name) => fields.some((field) => field.name === name)),
    ...config.filter((field) => !field.differs).map((field) => field.name),
  ];
  return (
    <>
      <label className="flex items-center gap-2">
        x axis
        <select value={view.x ?? "step"} onChange={(event) => onChange(parseX(event.target.value))} className={INPUT}>
          {AXES.map((axis) => (
            <option key={axis}>{axis}</option>
          ))}
        </select>
      </label>
      <label className="flex items-center gap-2">
        Smoothing
        <input
          type="range"
          min={0}
          max={0.99}
          step={0.01}
          value={view.smoothing ?? 0}
          onChange={(event) => onChange({ smoothing: Number(event.target.value) || undefined })}
        />
      </label>
      <label className="flex items-center gap-1.5">
        <input type="checkbox" checked={view.log ?? false} onChange={(event) => onChange({ log: event.target.checked || undefined })} />
        Logarithmic
      </label>
      <Group label="Colour by" none="run" chosen={view.colour} offered={grouped} onChoose={(colour) => onChange({ colour })} />
      <Group
        label="Dash by"
        none={view.colour === undefined ? "run" : "colour"}
        chosen={view.dash}
        offered={grouped}
        onChoose={(dash) => onChange({ dash })}
      />
      <Group label="Charts by" none="metric" chosen={view.facet} offered={grouped} onChoose={(facet) => onChange({ facet })} />
    </>
  );
}

function parseX(text: string): BoardView {
  const x = AXES.find((axis) => axis === text);
  return { x: x === "step" ? undefined : x };
}

interface GroupOptions {
  readonly label: string;
  /** What it is by without a field. */
  readonly none: string;
  readonly chosen: string | undefined;
  readonly offered: readonly string[];
  readonly onChoose: (field: string | undefined) => void;
}

function Group({ label, none, chosen, offered, onChoose }: GroupOptions) {
  const id = useId();
  return (
    <span className="flex items-center gap-2">
      <label htmlFor={id}>{label}</label>
      <select id={id} value={chosen ?? ""} onChange={(event) => onChoose(event.target.value || undefined)} className={`${INPUT} max-w-44`}>
        <option value="">{none}</option>
        {[...new Set([...(chosen === undefined ? [] : [chosen]), ...offered])].map((name) => (
          <option key={name}>{name}</option>
        ))}
      </select>
    </span>
  );
}

function Filter({ text, onFilter }: { readonly text: string; readonly onFilter: (text: string | undefined) => void }) {
  const [typed, setTyped] = useState(text);
  useEffect(() => setTyped(text), [text]);
  return (
    <form
      role="search"
      className="w-96 max-w-full"
      onSubmit={(event) => {
        event.preventDefault();
        onFilter(typed.trim() || undefined);
      }}
    >
      <input
        aria-label="Filter runs"
        placeholder="state = running and val_accuracy > 0.9"
        value={typed}
        onChange={(event) => setTyped(event.target.value)}
        className="w-full rounded border border-line bg-panel px-2 py-1 font-mono text-xs text-text placeholder:text-dim"
      />
    </form>
  );
}
