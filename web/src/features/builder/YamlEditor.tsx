import clsx from "clsx";
import { type RefObject, useRef } from "react";
import type { Mistake } from "./draft";

interface Options {
  readonly text: string;
  readonly mistakes: readonly Mistake[];
  readonly area: RefObject<HTMLTextAreaElement | null>;
  readonly onText: (text: string) => void;
}

/** The text of the sweep file with the numbers of its lines; those with mistakes are marked. */
export function YamlEditor({ text, mistakes, area, onText }: Options) {
  const gutter = useRef<HTMLDivElement>(null);
  const wrong = new Set(mistakes.map((one) => one.line));
  return (
    <div className="flex min-h-80 flex-1 overflow-hidden rounded border border-line bg-panel font-mono text-xs leading-5">
      <div ref={gutter} aria-hidden className="overflow-hidden border-r border-line py-2 text-right text-dim select-none">
        {text.split("\n").map((_, index) => (
          <div
            key={index}
            className={clsx("px-2", wrong.has(index + 1) && "bg-bad text-panel")}
          >
            {wrong.has(index + 1) ? "! " : ""}
            {index + 1}
          </div>
        ))}
      </div>
      <textarea
        ref={area}
        aria-label="Sweep as YAML"
        aria-invalid={mistakes.length > 0}
        aria-describedby="mistakes"
        className="min-w-0 flex-1 resize-none bg-transparent p-2 leading-5 text-text outline-offset-[-2px]"
        spellCheck={false}
        autoCapitalize="off"
        wrap="off"
        value={text}
        onChange={(event) => onText(event.target.value)}
        onScroll={(event) => {
          if (gutter.current !== null) gutter.current.scrollTop = event.currentTarget.scrollTop;
        }}
      />
    </div>
  );
}

/** Puts the cursor to the start of a line, counted from 1. */
export function goToLine(area: HTMLTextAreaElement, line: number): void {
  const lines = area.value.split("\n");
  const start = lines.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
  area.focus();
  area.setSelectionRange(start, start + (lines[line - 1]?.length ?? 0));
  area.scrollTop = (line - 4) * (area.scrollHeight / lines.length);
}
