import type { InputHTMLAttributes, ReactNode } from "react";

export const INPUT = "rounded border border-line bg-panel px-2 py-1 text-text placeholder:text-dim";

/** A label and what it is about. */
export function Field({ label, children }: { readonly label: string; readonly children: ReactNode }) {
  return (
    <label className="flex items-center gap-3">
      <span className="w-32 shrink-0 text-dim">{label}</span>
      {children}
    </label>
  );
}

export function Input(options: InputHTMLAttributes<HTMLInputElement>) {
  return <input {...options} className={`${INPUT} min-w-0 flex-1`} />;
}
