import clsx from "clsx";
import type { ReactNode } from "react";

interface Options {
  readonly label: string;
  readonly heads: readonly string[];
  /** Columns of numbers, from 0. */
  readonly right?: readonly number[];
  readonly children: ReactNode;
}

/** A small table; where it is wider than the page, it alone moves sideways, by keyboard too. */
export function Table({ label, heads, right = [], children }: Options) {
  return (
    <div role="region" aria-label={`${label}, table`} tabIndex={0} className="overflow-x-auto border border-line bg-panel">
      <table aria-label={label} className="w-full text-left">
        <thead className="text-dim">
          <tr className="border-b border-line">
            {heads.map((head, index) => (
              <th key={index} scope="col" className={clsx("px-3 py-1.5 font-medium", right.includes(index) && "text-right")}>
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}
