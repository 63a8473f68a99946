import { useId, useState } from "react";
import { INPUT } from "@/components/ui/field";
import { type Path, shown, shownList, typed, typedList } from "./document";
import type { JsonSchema, Shape } from "./schema";

interface Options {
  readonly label: string;
  readonly schema: JsonSchema;
  readonly shape: Shape;
  /** What is set; undefined for the default. */
  readonly value: unknown;
  readonly invalid: boolean;
  readonly describedBy: string;
  /** Called with undefined to go back to the default. */
  readonly onChange: (value: unknown) => void;
}

/** A control for one value. */
export function ValueField(options: Options) {
  const { label, schema, shape, value, invalid, describedBy, onChange } = options;
  const about = { "aria-label": label, "aria-invalid": invalid, "aria-describedby": describedBy };
  if (shape.kind === "switch")
    return (
      <input
        type="checkbox"
        {...about}
        checked={Boolean(value ?? schema.default)}
        onChange={(event) => onChange(event.target.checked)}
      />
    );
  if (shape.kind === "options")
    return (
      <select
        {...about}
        className={`${INPUT} min-w-0`}
        value={value === undefined ? "" : JSON.stringify(value)}
        onChange={(event) => onChange(event.target.value === "" ? undefined : (JSON.parse(event.target.value) as unknown))}
      >
        <option value="">{schema.default == null ? "default" : `default: ${shown(schema.default)}`}</option>
        {value !== undefined && !shape.options.includes(value) && (
          <option value={JSON.stringify(value)}>{shown(value)}</option>
        )}
        {shape.options.map((one) => (
          <option key={String(one)} value={JSON.stringify(one)}>
            {shown(one)}
          </option>
        ))}
      </select>
    );
  const isList = shape.kind === "list";
  return (
    <Typed
      {...about}
      text={isList ? shownList(value) : shown(value)}
      placeholder={isList ? shownList(schema.default) : shown(schema.default)}
      numeric={shape.kind === "number"}
      onText={(text) => onChange(text.trim() === "" ? undefined : parse(shape, text))}
    />
  );
}

function parse(shape: Shape, text: string): unknown {
  if (shape.kind === "list") return typedList(text);
  return shape.kind === "text" ? text : typed(text);
}

interface TypedOptions {
  readonly text: string;
  readonly placeholder: string;
  readonly numeric?: boolean;
  readonly onText: (text: string) => void;
}

/** A text that stays as it is typed (1e-, 0.) while it has the keyboard, whatever value it stands for. */
export function Typed({ text, placeholder, numeric = false, onText, ...about }: TypedOptions & AriaLabels) {
  const [own, setOwn] = useState<string | null>(null);
  return (
    <input
      {...about}
      className={`${INPUT} w-full min-w-0 font-mono text-xs`}
      inputMode={numeric ? "decimal" : "text"}
      value={own ?? text}
      placeholder={placeholder}
      onFocus={() => setOwn(text)}
      onBlur={() => setOwn(null)}
      onChange={(event) => {
        setOwn(event.target.value);
        onText(event.target.value);
      }}
    />
  );
}

interface AriaLabels {
  readonly "aria-label": string;
  readonly "aria-invalid"?: boolean;
  readonly "aria-describedby"?: string;
}

/** A name for the texts that belong to a field. */
export function useFieldId(path: Path): string {
  return `${useId()}${path.join("-")}`;
}
