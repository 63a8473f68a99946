/** Runs that no other run is better than in both of two metrics. */

export interface Goal {
  readonly metric: string;
  readonly least: boolean;
}

/** ``min:val_loss`` or ``max:val_accuracy``; null for anything else. */
export function parseGoal(text: string | undefined): Goal | null {
  const found = /^(min|max):(.+)$/.exec(text ?? "");
  return found === null ? null : { metric: found[2] as string, least: found[1] === "min" };
}

export function goalText({ metric, least }: Goal): string {
  return `${least ? "min" : "max"}:${metric}`;
}

interface Candidate {
  readonly id: string;
  readonly first: number;
  readonly second: number;
}

/** Return those that no other dominates, the best by the first goal first; equals are all kept. */
export function front(candidates: readonly Candidate[], first: Goal, second: Goal): Candidate[] {
  const cost = (goal: Goal, one: number) => (goal.least ? one : -one);
  const ordered = candidates
    .filter((one) => Number.isFinite(one.first) && Number.isFinite(one.second))
    .toSorted((a, b) => cost(first, a.first) - cost(first, b.first) || cost(second, a.second) - cost(second, b.second));
  const kept: Candidate[] = [];
  for (const one of ordered) {
    const last = kept[kept.length - 1];
    const better = last === undefined || cost(second, one.second) < cost(second, last.second);
    const equal = last !== undefined && one.first === last.first && one.second === last.second;
    if (better || equal) kept.push(one);
  }
  return kept;
}
