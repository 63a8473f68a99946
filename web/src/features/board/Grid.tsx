import type { ReactNode } from "react";

/** A table that scrolls by itself where it is too wide. */
export function Grid({ titles, children }: { readonly titles: readonly string[]; readonly children: ReactNode }) {
  return (
    <div className="overflow-x-auto">
      <table className="w-full border border-line bg-panel text-left">
        <thead className="text-dim">
          <tr className="border-b border-line">
            {titles.map((title) => (
              <th key={title} className="px-3 py-1.5 font-medium whitespace-nowrap">
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}
