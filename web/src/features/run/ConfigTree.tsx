/** A config as a table of dotted fields. */
export function ConfigTree({ config }: { readonly config: Record<string, unknown> }) {
  return (
    <table className="border border-line bg-panel text-left">
      <tbody>
        {flatten(config).map(([path, found]) => (
          <tr key={path} className="border-b border-line last:border-0">
            <th scope="row" className="px-3 py-1 font-mono text-xs font-normal text-dim">
              {path}
            </th>
            <td className="px-3 py-1 font-mono text-xs break-all">{JSON.stringify(found)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Mappings become dotted paths; lists stay whole. */
export function flatten(config: Record<string, unknown>, prefix = ""): [string, unknown][] {
  return Object.entries(config).flatMap(([key, found]): [string, unknown][] => {
    const path = prefix === "" ? key : `${prefix}.${key}`;
    const inner = typeof found === "object" && found !== null && !Array.isArray(found);
    return inner ? flatten(found as Record<string, unknown>, path) : [[path, found]];
  });
}
