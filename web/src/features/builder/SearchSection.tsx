import { INPUT } from "@/components/ui/field";
import { DimensionEditor } from "./DimensionEditor";
import { get, isValues } from "./document";
import { FieldOf, FieldsOf } from "./Fields";
import { mistakesAt, SPACE, useForm } from "./form";
import { Row } from "./Row";
import { type JsonSchema, meaning } from "./schema";
import { useFieldId } from "./ValueField";

const METHOD = ["search", "method"];
const SAMPLES = 16;

/** What is varied, by which method, and for how long. */
export function SearchSection({ schema }: { readonly schema: JsonSchema }) {
  const { about, document, mistakes, schema: root } = useForm();
  const method = String(get(document, METHOD) ?? "single");
  const needs = about.method_fields[method] ?? [];
  const all = new Set(Object.values(about.method_fields).flat());
  const space = get(document, SPACE);
  const given = isValues(space) ? Object.entries(space) : [];
  const whole = mistakesAt(mistakes, ["search"], false);
  const others = Object.keys(schema.properties ?? {}).filter((name) => name !== "method" && !all.has(name));
  return (
    <>
      <Method schema={root.field(schema, "method")} method={method} />
      {whole.map((one) => (
        <p key={one.told} className="text-xs text-bad">
          {one.message}
        </p>
      ))}
      <ul aria-label="Searched fields" className="border-l-2 border-line pl-2">
        {given.map(([name, found]) => (
          <li key={name} className="flex flex-wrap items-center gap-2 py-0.5">
            <span className="w-36 shrink-0 font-mono text-xs break-all text-accent">{name}</span>
            <DimensionEditor name={name} found={isValues(found) ? found : {}} />
          </li>
        ))}
        {given.length === 0 && <li className="text-dim">Nothing varies yet: press the arrows beside a field.</li>}
      </ul>
      {["samples", "objectives", "runs"]
        .filter((name) => needs.includes(name) || get(document, ["search", name]) !== undefined)
        .map((name) => (
          <FieldOf key={name} path={["search", name]} schema={root.field(schema, name)} />
        ))}
      {method !== "single" && (
        <FieldsOf
          path={["search"]}
          schema={schema}
          skip={Object.keys(schema.properties ?? {}).filter((name) => !others.includes(name))}
        />
      )}
    </>
  );
}

/** What only other methods take goes with them; what this one needs comes with it. */
function Method({ schema, method }: { readonly schema: JsonSchema; readonly method: string }) {
  const { about, document, edit } = useForm();
  const id = useFieldId(METHOD);
  const choose = (next: string) => {
    const needs = about.method_fields[next] ?? [];
    const gone = ["samples", "objectives", "runs"]
      .filter((name) => !needs.includes(name) && get(document, ["search", name]) !== undefined)
      .map((name) => ({ path: ["search", name], remove: true }));
    const samples = needs.includes("samples") && get(document, ["search", "samples"]) === undefined;
    edit({ path: METHOD, value: next }, ...gone, ...(samples ? [{ path: ["search", "samples"], value: SAMPLES }] : []));
  };
  return (
    <Row path={METHOD} about={meaning(schema)} id={id}>
      <select
        aria-label="search.method"
        aria-describedby={id}
        className={INPUT}
        value={method}
        onChange={(event) => choose(event.target.value)}
      >
        {(schema.enum ?? []).map((one) => (
          <option key={String(one)}>{String(one)}</option>
        ))}
        {!(schema.enum ?? []).includes(method) && <option>{method}</option>}
      </select>
    </Row>
  );
}
