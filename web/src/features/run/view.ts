/** What the address says about the page of a run: whoever gets the link sees the same. */

export const TABS = ["charts", "overview", "config", "classes", "samples", "logs", "checkpoints", "devices", "events"] as const;
export type Tab = (typeof TABS)[number];

export interface RunView {
  readonly tab?: Tab | undefined;
  readonly smoothing?: number | undefined;
  readonly log?: boolean | undefined;
  /** The artifact with the confusion matrix, and the step that it is of; the newest without one. */
  readonly matrix?: string | undefined;
  readonly step?: number | undefined;
  readonly shares?: boolean | undefined;
  /** Numbers of classes: samples of one that were taken for the other. */
  readonly target?: number | undefined;
  readonly predicted?: number | undefined;
}

export function isTab(text: unknown): text is Tab {
  return TABS.some((tab) => tab === text);
}

export function runView(found: Record<string, unknown>): RunView {
  const whole = (key: string) => Number.isSafeInteger(found[key]) && (found[key] as number) >= 0;
  return {
    ...(isTab(found["tab"]) && { tab: found["tab"] }),
    ...(typeof found["smoothing"] === "number" && { smoothing: Math.min(0.99, Math.max(0, found["smoothing"])) }),
    ...(found["log"] === true && { log: true }),
    ...(typeof found["matrix"] === "string" && { matrix: found["matrix"] }),
    ...(whole("step") && { step: found["step"] as number }),
    ...(found["shares"] === true && { shares: true }),
    ...(whole("target") && { target: found["target"] as number }),
    ...(whole("predicted") && { predicted: found["predicted"] as number }),
  };
}
