/** Edits of a config as they are typed, and as the server takes them. */

/** What was typed, as a value: JSON where it is JSON, else text. */
function typed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

/** The fields that differ from the parent's. */
export function changes(
  fields: readonly (readonly [string, unknown])[],
  texts: ReadonlyMap<string, string>,
): Record<string, unknown> {
  const found = fields.flatMap(([path, before]): [string, unknown][] => {
    const text = texts.get(path);
    if (text === undefined) return [];
    const after = typed(text);
    return JSON.stringify(after) === JSON.stringify(before) ? [] : [[path, after]];
  });
  return Object.fromEntries(found);
}
