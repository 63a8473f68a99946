import { INPUT } from "@/components/ui/field";
import { get, isValues, type Path, type Values } from "./document";
import { mistakesAt, searched, useForm } from "./form";
import { PartList } from "./PartList";
import { Row } from "./Row";
import { type JsonSchema, meaning, type Union } from "./schema";
import { useFieldId, ValueField } from "./ValueField";

interface Place {
  readonly path: Path;
  readonly schema: JsonSchema;
  /** The part that has the field, where it has kinds: it is named when one of its fields is set first. */
  readonly part?: { readonly path: Path; readonly tag: string; readonly kind: string };
}

/** A field, whatever it holds. */
export function FieldOf(place: Place) {
  const { schema } = useForm();
  const shape = schema.shape(place.schema);
  switch (shape.kind) {
    case "union":
      return <Part {...place} union={shape.union} />;
    case "group":
      return <Group {...place} inner={shape.schema} optional={shape.optional} />;
    case "parts":
      return <PartList path={place.path} schema={place.schema} union={shape.union} />;
    default:
      return <Leaf {...place} />;
  }
}

/** All fields of an object. */
export function FieldsOf({ path, schema, part, skip = [] }: Place & { readonly skip?: readonly string[] }) {
  const { about, document, schema: root } = useForm();
  const task = String(get(document, ["run", "task"]) ?? "image-classification");
  const unused = new Set(about.unused_fields[task] ?? []);
  const names = Object.keys(schema.properties ?? {}).filter((name) => {
    const full = searched([...path, name]);
    return !skip.includes(name) && !(full !== null && unused.has(full));
  });
  return names.map((name) => (
    <FieldOf key={name} path={[...path, name]} schema={root.field(schema, name)} {...(part !== undefined && { part })} />
  ));
}

/** A value, or the values that the search gives it. */
function Leaf({ path, schema, part }: Place) {
  const form = useForm();
  const set = useSet(part);
  const value = get(form.document, path);
  const shape = form.schema.shape(schema);
  const wrong = mistakesAt(form.mistakes, path, true);
  const id = useFieldId(path);
  return (
    <Row path={path} about={meaning(schema)} vary={value ?? schema.default} id={id}>
      <ValueField
        label={path.join(".")}
        schema={schema}
        shape={shape}
        value={value}
        invalid={wrong.length > 0}
        describedBy={id}
        onChange={(next) => set(path, next)}
      />
    </Row>
  );
}

/** A part of which there are several kinds. */
function Part({ path, schema, union }: Place & { readonly union: Union }) {
  const form = useForm();
  const found = get(form.document, path);
  const usual = isValues(schema.default) ? schema.default[union.tag] : undefined;
  const kind = String((isValues(found) ? found[union.tag] : found) ?? usual);
  const inner = union.kinds[kind];
  const id = useFieldId(path);
  const choose = (next: string) => {
    const known = union.kinds[next]?.properties ?? {};
    const kept = isValues(found) ? Object.entries(found).filter(([name]) => name in known) : [];
    form.edit({ path, value: { ...Object.fromEntries(kept), [union.tag]: next } });
  };
  return (
    <>
      <Row path={[...path, union.tag]} wrongAt={path} about={inner === undefined ? "" : meaning(inner)} vary={kind} id={id}>
        <select
          aria-label={path.join(".")}
          aria-describedby={id}
          aria-invalid={mistakesAt(form.mistakes, path, false).length > 0}
          className={INPUT}
          value={kind}
          onChange={(event) => choose(event.target.value)}
        >
          {inner === undefined && <option>{kind}</option>}
          {Object.keys(union.kinds).map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
      </Row>
      {inner !== undefined && (
        <FieldsOf path={path} schema={inner} skip={[union.tag]} part={{ path, tag: union.tag, kind }} />
      )}
    </>
  );
}

/** Fields that belong together, and may be left out as a whole. */
function Group({ path, schema, inner, optional }: Place & { readonly inner: JsonSchema; readonly optional: boolean }) {
  const form = useForm();
  const found = get(form.document, path);
  const on = !optional || isValues(found);
  const id = useFieldId(path);
  return (
    <div className="border-l-2 border-line pl-2">
      <Row path={path} about={meaning(schema)} id={id}>
        {optional ? (
          <input
            type="checkbox"
            aria-label={path.join(".")}
            aria-describedby={id}
            checked={on}
            onChange={(event) => form.edit(event.target.checked ? { path, value: begun(inner) } : { path, remove: true })}
          />
        ) : null}
      </Row>
      {on && <FieldsOf path={path} schema={inner} />}
    </div>
  );
}

/** What a group begins with: something has to stand there, so that it counts as given. */
function begun(schema: JsonSchema): Values {
  const fields = Object.entries(schema.properties ?? {});
  const first = fields.find(([, one]) => one.default !== undefined && one.default !== null);
  return first === undefined ? {} : { [first[0]]: first[1].default };
}

/** Sets a value; its part is written with its kind, if it was not yet or only as its name. */
function useSet(part: Place["part"]) {
  const { document, edit } = useForm();
  return (path: Path, value: unknown) => {
    const whole = part === undefined ? {} : get(document, part.path);
    const named = part === undefined || isValues(whole) || value === undefined;
    const change = value === undefined ? { path, remove: true } : { path, value };
    if (named) edit(change);
    else edit({ path: part.path, value: { [part.tag]: part.kind } }, change);
  };
}
