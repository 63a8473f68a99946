import { ArrowDown, ArrowUp, Plus, X } from "lucide-react";
import { useState } from "react";
import { Button } from "@/components/ui/button";
import { Window } from "@/components/ui/dialog";
import { Input } from "@/components/ui/field";
import { DRAWN } from "./columns";

const MOST_OFFERED = 60;
const ICON = "rounded p-1 enabled:hover:bg-page disabled:opacity-30";

interface Options {
  readonly title: string;
  readonly about: string;
  readonly open: boolean;
  readonly onOpen: (open: boolean) => void;
  /** In order. */
  readonly chosen: readonly string[];
  /** All that may be chosen. */
  readonly offered: readonly string[];
  /** Undefined: as it is by itself. */
  readonly onChoose: (chosen: readonly string[] | undefined) => void;
}

/** Chooses fields and their order: columns of the table, axes of a chart. */
export default function FieldChooser({ title, about, open, onOpen, chosen, offered, onChoose }: Options) {
  const [sought, setSought] = useState("");
  const rest = offered.filter((name) => !chosen.includes(name) && said(name).toLowerCase().includes(sought.toLowerCase()));
  const move = (index: number, by: number) => {
    const next = [...chosen];
    const [moved] = next.splice(index, 1);
    next.splice(index + by, 0, moved as string);
    onChoose(next);
  };
  return (
    <Window title={title} about={about} open={open} onOpen={onOpen}>
      <div className="grid min-h-0 grid-rows-2 gap-4 overflow-hidden sm:grid-cols-2 sm:grid-rows-1">
        <section aria-label="Shown" className="flex min-h-0 flex-col gap-2">
          <div className="flex items-center justify-between">
            <h3 className="font-medium">Shown</h3>
            <Button onClick={() => onChoose(undefined)}>As by itself</Button>
          </div>
          <ol className="min-h-24 overflow-auto border border-line">
            {chosen.map((name, index) => (
              <li key={name} className="flex items-center gap-1 border-b border-line px-2 py-0.5 last:border-0">
                <span className="min-w-0 flex-1 truncate" title={name}>
                  {said(name)}
                </span>
                <button type="button" className={ICON} aria-label={`Move ${said(name)} up`} disabled={index === 0} onClick={() => move(index, -1)}>
                  <ArrowUp size={14} aria-hidden />
                </button>
                <button
                  type="button"
                  className={ICON}
                  aria-label={`Move ${said(name)} down`}
                  disabled={index === chosen.length - 1}
                  onClick={() => move(index, 1)}
                >
                  <ArrowDown size={14} aria-hidden />
                </button>
                <button type="button" className={ICON} aria-label={`Hide ${said(name)}`} onClick={() => onChoose(chosen.filter((one) => one !== name))}>
                  <X size={14} aria-hidden />
                </button>
              </li>
            ))}
          </ol>
        </section>
        <section aria-label="Not shown" className="flex min-h-0 flex-col gap-2">
          <Input type="search" className="flex-none" aria-label="Search fields" placeholder="Search fields" value={sought} onChange={(event) => setSought(event.target.value)} />
          <ul className="min-h-24 overflow-auto border border-line">
            {rest.slice(0, MOST_OFFERED).map((name) => (
              <li key={name} className="border-b border-line last:border-0">
                <button
                  type="button"
                  aria-label={`Show ${said(name)}`}
                  className="flex w-full items-center gap-2 px-2 py-1 text-left hover:bg-page"
                  onClick={() => onChoose([...chosen, name])}
                >
                  <Plus size={14} aria-hidden className="shrink-0" />
                  <span className="truncate">{said(name)}</span>
                </button>
              </li>
            ))}
            {rest.length > MOST_OFFERED && <li className="px-2 py-1 text-dim">and {rest.length - MOST_OFFERED} more: search</li>}
            {rest.length === 0 && <li className="px-2 py-1 text-dim">no other field</li>}
          </ul>
        </section>
      </div>
    </Window>
  );
}

function said(name: string): string {
  return DRAWN[name] ?? name;
}
