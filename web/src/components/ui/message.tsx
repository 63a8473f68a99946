import { TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";

/** What went wrong, in the server's words. */
export function Failure({ error }: { readonly error: Error }) {
  return (
    <div role="alert" className="flex items-start gap-2 rounded border border-bad bg-panel p-3 text-bad">
      <TriangleAlert size={16} className="mt-0.5 shrink-0" aria-hidden />
      <pre className="font-mono text-xs whitespace-pre-wrap">{error.message}</pre>
    </div>
  );
}

/** An empty place, and what to do about it. */
export function Empty({ title, children }: { readonly title: string; readonly children?: ReactNode }) {
  return (
    <div className="rounded border border-dashed border-line p-8 text-center text-dim">
      <p className="mb-2 font-medium text-text">{title}</p>
      {children}
    </div>
  );
}

/** A command to type. */
export function Command({ children }: { readonly children: string }) {
  return <code className="rounded bg-page px-1.5 py-0.5 font-mono text-xs text-text">{children}</code>;
}
