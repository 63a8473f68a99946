import { Plus, X } from "lucide-react";
import { INPUT } from "@/components/ui/field";
import { get, isValues, type Path, type Values } from "./document";
import { mistakesAt, useForm } from "./form";
import { Row } from "./Row";
import { type JsonSchema, meaning, type Union } from "./schema";
import { useFieldId, ValueField } from "./ValueField";

interface Options {
  readonly path: Path;
  readonly schema: JsonSchema;
  readonly union: Union;
}

const OWN = "a list";

/** A list of parts, each of one of several kinds; or the name of a list, where there are such. */
export function PartList({ path, schema, union }: Options) {
  const { about, document, edit } = useForm();
  const id = useFieldId(path);
  const found = get(document, path);
  const presets = path.join(".") === "run.augment" ? about.augmentation_presets : {};
  const items = Array.isArray(found) ? found.map((one) => partOf(one, union)) : null;
  const set = (next: readonly Values[]) => edit({ path, value: next.map((one) => brief(one, union)) });
  const usual = (Array.isArray(schema.default) ? schema.default : []) as Values[];
  return (
    <>
      <Row path={path} about={meaning(schema)} vary={found ?? schema.default} id={id}>
        <select
          aria-label={path.join(".")}
          aria-describedby={id}
          className={INPUT}
          value={items !== null ? OWN : String(found ?? "")}
          onChange={({ target: { value } }) => {
            if (value === "") edit({ path, remove: true });
            else if (value === OWN) set((presets[String(found)] as Values[] | undefined) ?? usual);
            else edit({ path, value });
          }}
        >
          <option value="">{`default: ${usual.map((one) => String(one[union.tag])).join(", ") || "none"}`}</option>
          {Object.keys(presets).map((one) => (
            <option key={one}>{one}</option>
          ))}
          {typeof found === "string" && !(found in presets) && <option>{found}</option>}
          <option>{OWN}</option>
        </select>
      </Row>
      {items !== null && (
        <ul aria-label={path.join(".")} className="border-l-2 border-line pl-2">
          {items.map((item, index) => (
            <Item
              key={index}
              path={[...path, String(index)]}
              item={item}
              union={union}
              onChange={(next) => set(next === null ? items.toSpliced(index, 1) : items.with(index, next))}
            />
          ))}
          <li>
            <label className="flex items-center gap-1.5 py-1 text-dim">
              <Plus size={14} aria-hidden />
              <select
                aria-label={`Add to ${path.join(".")}`}
                className={INPUT}
                value=""
                onChange={(event) => set([...items, { [union.tag]: event.target.value }])}
              >
                <option value="">add</option>
                {Object.keys(union.kinds).map((one) => (
                  <option key={one}>{one}</option>
                ))}
              </select>
            </label>
          </li>
        </ul>
      )}
    </>
  );
}

interface ItemOptions {
  readonly path: Path;
  readonly item: Values;
  readonly union: Union;
  /** Called with null to take it away. */
  readonly onChange: (next: Values | null) => void;
}

function Item({ path, item, union, onChange }: ItemOptions) {
  const form = useForm();
  const kind = String(item[union.tag]);
  const id = useFieldId(path);
  const fields = Object.entries(union.kinds[kind]?.properties ?? {}).filter(([name]) => name !== union.tag);
  return (
    <li className="flex flex-wrap items-center gap-x-3 gap-y-1 py-0.5" id={id}>
      <span className="w-36 shrink-0">{kind}</span>
      {fields.map(([name, field]) => {
        const schema = form.schema.resolve(field);
        const { [name]: value, ...others } = item;
        return (
          <span key={name} className="flex items-center gap-1" title={meaning(schema)}>
            <span className="font-mono text-xs text-dim">{name}</span>
            <span className="w-20">
              <ValueField
                label={`${path.join(".")}.${name}`}
                schema={schema}
                shape={form.schema.shape(schema)}
                value={value}
                invalid={mistakesAt(form.mistakes, [...path, name], true).length > 0}
                describedBy={id}
                onChange={(next) => onChange(next === undefined ? others : { ...others, [name]: next })}
              />
            </span>
          </span>
        );
      })}
      <button
        type="button"
        aria-label={`Remove ${kind}`}
        className="rounded p-1 hover:bg-page"
        onClick={() => onChange(null)}
      >
        <X size={14} aria-hidden />
      </button>
    </li>
  );
}

/** An item may be written as its kind alone. */
function partOf(item: unknown, union: Union): Values {
  return isValues(item) ? item : { [union.tag]: item };
}

function brief(item: Values, union: Union): unknown {
  return Object.keys(item).length === 1 ? item[union.tag] : item;
}
