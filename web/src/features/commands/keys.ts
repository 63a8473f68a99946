/** Keys pressed one after the other, and what they mean. */
import type { Command } from "./registry";

/** After so long, the next key begins anew. */
const PATIENCE_MILLISECONDS = 1500;
const TYPED_INTO: ReadonlySet<string> = new Set(["INPUT", "TEXTAREA", "SELECT"]);

/** Finds the command of what was pressed. */
export class Keys {
  private pressed: string[] = [];
  private at = 0;

  constructor(private readonly commands: () => readonly Command[]) {}

  /** Take a key; return the command that it completes. */
  press(key: string, now: number): Command | null {
    if (now - this.at > PATIENCE_MILLISECONDS) this.pressed = [];
    this.at = now;
    this.pressed.push(key);
    const all = this.commands().filter((one) => one.keys !== undefined);
    while (this.pressed.length > 0) {
      const typed = this.pressed.join(" ");
      const found = all.find((one) => one.keys === typed);
      if (found !== undefined) {
        this.pressed = [];
        return found;
      }
      if (all.some((one) => one.keys?.startsWith(`${typed} `))) return null;
      this.pressed.shift();
    }
    return null;
  }
}

/** Whether a key is part of what somebody writes, or belongs to the browser. */
export function isTyping(event: KeyboardEvent): boolean {
  const target = event.target as HTMLElement | null;
  const field = target !== null && (TYPED_INTO.has(target.tagName) || target.isContentEditable);
  const ticked = target instanceof HTMLInputElement && target.type === "checkbox";
  return event.ctrlKey || event.metaKey || event.altKey || event.isComposing || (field && !ticked);
}
