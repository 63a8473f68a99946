import { X } from "lucide-react";
import { INPUT } from "@/components/ui/field";
import { get, isValues, shown, shownList, typed, typedList, type Values } from "./document";
import { SPACE, useForm } from "./form";
import { Typed } from "./ValueField";

const KINDS = { choice: "one of", int: "whole numbers", float: "range", log: "log range" } as const;
type Kind = keyof typeof KINDS;

/** The values that the search gives one field. */
export function DimensionEditor({ name, found }: { readonly name: string; readonly found: Values }) {
  const { document, edit } = useForm();
  const kind = (Object.keys(KINDS) as Kind[]).find((one) => found[one] !== undefined) ?? "choice";
  const path = [...SPACE, name];
  const grid = get(document, ["search", "method"]) === "grid";
  const [low, high] = Array.isArray(found[kind]) ? (found[kind] as unknown[]) : [];
  const range = (next: readonly unknown[]) => edit({ path: [...path, kind], value: next });
  return (
    <span className="flex min-w-0 flex-1 flex-wrap items-center gap-1.5">
      <select
        aria-label={`How ${name} varies`}
        className={INPUT}
        value={kind}
        onChange={(event) => edit({ path, value: converted(found, event.target.value as Kind, grid) })}
      >
        {Object.entries(KINDS).map(([one, words]) => (
          <option key={one} value={one}>
            {words}
          </option>
        ))}
      </select>
      {kind === "choice" ? (
        <span className="min-w-32 flex-1">
          <Typed
            aria-label={`Values of ${name}`}
            text={shownList(found["choice"])}
            placeholder="values, with commas between"
            onText={(text) => edit({ path: [...path, "choice"], value: typedList(text) })}
          />
        </span>
      ) : (
        <>
          <Bound label={`Lowest ${name}`} value={low} onValue={(next) => range([next, high])} />
          <span className="text-dim">to</span>
          <Bound label={`Highest ${name}`} value={high} onValue={(next) => range([low, next])} />
          {(grid || found["points"] !== undefined) && (
            <Bound
              label={`Points of ${name}`}
              value={found["points"]}
              placeholder="points"
              onValue={(next) =>
                next === "" ? edit({ path: [...path, "points"], remove: true }) : edit({ path: [...path, "points"], value: next })
              }
            />
          )}
        </>
      )}
      {isValues(found["when"]) && <span className="font-mono text-xs text-dim">when {JSON.stringify(found["when"])}</span>}
      <button
        type="button"
        aria-label={`Do not vary ${name}`}
        title="Do not vary it"
        className="rounded p-1 hover:bg-page"
        onClick={() => edit({ path, remove: true })}
      >
        <X size={14} aria-hidden />
      </button>
    </span>
  );
}

interface BoundOptions {
  readonly label: string;
  readonly value: unknown;
  readonly placeholder?: string;
  readonly onValue: (value: unknown) => void;
}

function Bound({ label, value, placeholder = "", onValue }: BoundOptions) {
  return (
    <span className="w-20">
      <Typed aria-label={label} numeric text={shown(value)} placeholder={placeholder} onText={(text) => onValue(typed(text))} />
    </span>
  );
}

/** The same values as another kind, as far as they go. */
function converted(found: Values, kind: Kind, grid: boolean): Values {
  const numbers = Object.values(found)
    .flat()
    .filter((one): one is number => typeof one === "number");
  const when = isValues(found["when"]) ? { when: found["when"] } : {};
  if (kind === "choice") {
    const ends = (found["int"] ?? found["float"] ?? found["log"] ?? []) as unknown[];
    return { choice: ends, ...when };
  }
  const low = numbers.length > 0 ? Math.min(...numbers) : kind === "log" ? 1e-4 : 0;
  const high = numbers.length > 0 ? Math.max(...numbers) : 1;
  const [from, to] = low < high ? [low, high] : [low, low === 0 ? 1 : low * 10];
  const least = kind === "log" && from <= 0 ? to / 1000 : from;
  const ends = kind === "int" ? [Math.floor(least), Math.ceil(to)] : [least, to];
  return { [kind]: ends, ...(grid && { points: 3 }), ...when };
}
