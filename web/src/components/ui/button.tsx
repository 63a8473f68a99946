import clsx from "clsx";
import type { ButtonHTMLAttributes } from "react";

interface Options {
  readonly look?: "plain" | "primary" | "danger";
}

const SHAPE =
  "inline-flex items-center gap-1.5 rounded whitespace-nowrap border px-2.5 py-1 font-medium disabled:cursor-not-allowed disabled:opacity-50";

/** For links that look like buttons. */
export const LOOK = `${SHAPE} border-line bg-panel hover:border-dim`;

export function Button({ look = "plain", className, ...rest }: ButtonHTMLAttributes<HTMLButtonElement> & Options) {
  return (
    <button
      type="button"
      className={clsx(
        SHAPE,
        look === "plain" && "border-line bg-panel enabled:hover:border-dim",
        look === "primary" && "border-accent bg-accent text-accent-text enabled:hover:opacity-90",
        look === "danger" && "border-bad bg-panel text-bad enabled:hover:bg-bad enabled:hover:text-panel",
        className,
      )}
      {...rest}
    />
  );
}
