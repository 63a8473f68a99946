/** Values in a sweep's document, and how they are typed and shown. */

export type Path = readonly string[];
export type Values = Readonly<Record<string, unknown>>;

/** A value that the form sets in the text, or takes away. */
export interface Edit {
  readonly id: number;
  readonly path: Path;
  readonly value?: unknown;
  readonly remove?: boolean;
}

export function isValues(value: unknown): value is Values {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function get(document: unknown, path: Path): unknown {
  return path.reduce<unknown>((value, key) => (isValues(value) ? value[key] : undefined), document);
}

/** The document as the server will have it after some edits. */
export function applied(document: Values, edits: readonly Pick<Edit, "path" | "value" | "remove">[]): Values {
  return edits.reduce<Values>((found, { path, value, remove = false }) => change(found, path, value, remove), document);
}

function change(values: Values, [key, ...rest]: Path, value: unknown, remove: boolean): Values {
  if (key === undefined) return values;
  const { [key]: before, ...others } = values;
  if (rest.length === 0) return remove ? others : { ...values, [key]: value };
  if (!isValues(before) && remove) return values;
  const after = change(isValues(before) ? before : {}, rest, value, remove);
  return remove && Object.keys(after).length === 0 ? others : { ...values, [key]: after };
}

/** What was typed, as a value: a number, true, false, null, a list or a mapping as JSON has them, else text. */
export function typed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    const number = Number(text);
    return text.trim() !== "" && Number.isFinite(number) ? number : text.trim();
  }
}

/** What was typed with commas between: "64, 32" or "[64, 32]". */
export function typedList(text: string): unknown[] {
  for (const whole of [text, `[${text}]`]) {
    try {
      const found = JSON.parse(whole) as unknown;
      if (Array.isArray(found)) return found as unknown[];
    } catch {
      // it is not JSON; then words stand between the commas
    }
  }
  return text
    .replace(/^\s*\[|\]\s*$/g, "")
    .split(",")
    .filter((part) => part.trim() !== "")
    .map(typed);
}

/** A value as one would type it. */
export function shown(value: unknown): string {
  if (value === undefined || value === null) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** A list as one would type it, with commas between. */
export function shownList(value: unknown): string {
  if (!Array.isArray(value)) return shown(value);
  const nested = value.some((one) => typeof one === "object" && one !== null);
  const words = value.map((one) => (typeof one === "string" && /^[^\s,[\]{}"]+$/.test(one) ? one : JSON.stringify(one)));
  return nested ? JSON.stringify(value) : words.join(", ");
}
