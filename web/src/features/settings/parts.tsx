import type { FormHTMLAttributes, ReactNode } from "react";

/** A small table with a row for each thing. */
export function Rows({ heads, children }: { readonly heads: readonly string[]; readonly children: ReactNode }) {
  return (
    <div className="overflow-x-auto">
      <table className="w-full border border-line bg-panel text-left">
        <thead className="text-dim">
          <tr className="border-b border-line">
            {heads.map((head) => (
              <th key={head} className="px-3 py-1.5 font-medium">
                {head}
              </th>
            ))}
            <td />
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

export function Row({ cells, children }: { readonly cells: readonly ReactNode[]; readonly children?: ReactNode }) {
  return (
    <tr className="border-b border-line last:border-0">
      {cells.map((cell, index) => (
        <td key={index} className="px-3 py-1.5 whitespace-nowrap">
          {cell}
        </td>
      ))}
      <td className="px-3 py-1.5 text-right whitespace-nowrap">{children}</td>
    </tr>
  );
}

/** One line of fields and a button. */
export function Line({ onDone, ...rest }: FormHTMLAttributes<HTMLFormElement> & { readonly onDone: () => void }) {
  return (
    <form
      className="flex flex-wrap items-center gap-2"
      onSubmit={(event) => {
        event.preventDefault();
        onDone();
      }}
      {...rest}
    />
  );
}

export function moment(text: string | null): string {
  return text === null ? "never" : new Date(text).toLocaleString();
}
