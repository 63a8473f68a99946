import { type ReactNode, useMemo, useState } from "react";
import type { Drafting } from "./draft";
import { FieldOf } from "./Fields";
import { FormProvider, type SweepSchema } from "./form";
import { type JsonSchema, Schema } from "./schema";
import { SearchSection } from "./SearchSection";

const SECTIONS: readonly (readonly [title: string, fields: readonly string[]])[] = [
  ["Task", ["task", "custom", "trainer"]],
  ["Data", ["data"]],
  ["Model", ["model"]],
  ["Optimizer", ["optimizer"]],
  ["Schedule", ["schedule"]],
  ["Loss", ["loss"]],
  ["Augmentation", ["augment"]],
  ["Metrics", ["metrics"]],
  ["Training", ["training"]],
];

/** A form made from the schema: what a sweep can hold, it can hold. */
export function SweepForm({ about, drafting }: { readonly about: SweepSchema; readonly drafting: Drafting }) {
  const schema = useMemo(() => new Schema(about.sweep as JsonSchema), [about]);
  const [explain, setExplain] = useState(false);
  const { document, edit, state } = drafting;
  if (document === null)
    return <p className="text-dim">{state.checked === null ? "Reading the sweep" : "The form is back once the YAML can be read."}</p>;
  const run = schema.field(schema.root, "run");
  const named = new Set(SECTIONS.flatMap(([, fields]) => fields));
  const rest = Object.keys(run.properties ?? {}).filter((name) => !named.has(name));
  const form = { schema, about, document, mistakes: state.checked?.mistakes ?? [], edit, explain };
  const task = String((document["run"] as { task?: unknown } | undefined)?.task ?? "image-classification");
  const unused = about.unused_fields[task] ?? [];
  return (
    <FormProvider value={form}>
      <form className="flex flex-col gap-3" aria-label="Sweep" onSubmit={(event) => event.preventDefault()}>
        <label className="flex items-center gap-1.5 text-dim">
          <input type="checkbox" checked={explain} onChange={(event) => setExplain(event.target.checked)} />
          Explain every field
        </label>
        <Section title="Experiment">
          {["name", "project"].map((name) => (
            <FieldOf key={name} path={[name]} schema={schema.field(schema.root, name)} />
          ))}
        </Section>
        {[...SECTIONS, ["Seeds", rest] as const]
          .map(([title, fields]) => [title, fields.filter((name) => !unused.includes(name))] as const)
          .filter(([, fields]) => fields.length > 0)
          .map(([title, fields]) => (
            <Section key={title} title={title}>
              {fields
                .filter((name) => !OF_TASKS.has(name) || OF_TASKS.get(name) === task)
                .map((name) => (
                  <FieldOf key={name} path={["run", name]} schema={schema.field(run, name)} />
                ))}
            </Section>
          ))}
        <Section title="Search">
          <SearchSection schema={schema.field(schema.root, "search")} />
        </Section>
      </form>
    </FormProvider>
  );
}

/** Fields that only one task has. */
const OF_TASKS: ReadonlyMap<string, string> = new Map([
  ["custom", "custom"],
  ["trainer", "hf-trainer"],
]);

function Section({ title, children }: { readonly title: string; readonly children: ReactNode }) {
  return (
    <fieldset className="min-w-0 rounded border border-line bg-panel px-3 pb-2">
      <legend className="px-1 font-medium">{title}</legend>
      {children}
    </fieldset>
  );
}
