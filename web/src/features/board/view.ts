/** What the address says about a board: whoever gets the link sees the same. */
import { AXES, type Axis } from "@/lib/axis";

export const TABS = ["board", "table", "charts", "parallel", "importance", "pareto", "diff", "plan"] as const;
type Tab = (typeof TABS)[number];

export interface BoardView {
  readonly tab?: Tab | undefined;
  readonly sort?: string | undefined;
  readonly filter?: string | undefined;
  /** In order; without it, those that the search decides and all metrics. */
  readonly columns?: readonly string[] | undefined;
  readonly x?: Axis | undefined;
  readonly smoothing?: number | undefined;
  readonly log?: boolean | undefined;
  /** Fields that give lines their colour and dash, and that charts are split by. */
  readonly colour?: string | undefined;
  readonly dash?: string | undefined;
  readonly facet?: string | undefined;
  /** Axes of parallel coordinates, in order. */
  readonly axes?: readonly string[] | undefined;
  /** What importance is about. */
  readonly metric?: string | undefined;
  /** ``min:val_loss``, ``max:val_accuracy``: the two goals of the Pareto front. */
  readonly goals?: readonly string[] | undefined;
}

/** Take from an address, or from a saved view, what makes sense. */
export function parseView(found: Record<string, unknown>): BoardView {
  const smoothing = found["smoothing"];
  const view: BoardView = {
    tab: TABS.find((tab) => tab === found["tab"]),
    sort: text(found["sort"]),
    filter: text(found["filter"]),
    columns: texts(found["columns"]),
    x: AXES.find((axis) => axis === found["x"]),
    smoothing: typeof smoothing === "number" ? Math.min(0.99, Math.max(0, smoothing)) : undefined,
    log: found["log"] === true || undefined,
    colour: text(found["colour"]),
    dash: text(found["dash"]),
    facet: text(found["facet"]),
    axes: texts(found["axes"]),
    metric: text(found["metric"]),
    goals: texts(found["goals"]),
  };
  return Object.fromEntries(Object.entries(view).filter(([, value]) => value !== undefined)) as BoardView;
}

function text(found: unknown): string | undefined {
  return typeof found === "string" && found !== "" ? found : undefined;
}

function texts(found: unknown): readonly string[] | undefined {
  return Array.isArray(found) ? [...new Set(found.filter((one): one is string => typeof one === "string"))] : undefined;
}
