/** Which priorities make runs train in a wanted order: the highest first, and of equal ones the oldest. */

const MOST = 100;

export interface Place {
  readonly id: string;
  readonly priority: number;
  /** A higher number is younger. */
  readonly created: number;
}

/** Whether ``first`` trains before ``second`` with these priorities. */
function before(first: Place, second: Place): boolean {
  return first.priority > second.priority || (first.priority === second.priority && first.created < second.created);
}

/** The priority from which on ``first`` trains before ``second``. */
function least(first: Place, second: Place): number {
  return second.priority + (first.created < second.created ? 0 : 1);
}

/** Raise those above until each trains before the one below. */
function raised(order: readonly Place[], from: number): Place[] {
  const made = [...order];
  for (let index = from - 1; index >= 0; index -= 1) {
    const [one, next] = [made[index] as Place, made[index + 1] as Place];
    if (before(one, next)) break;
    made[index] = { ...one, priority: least(one, next) };
  }
  return made;
}

/** Lower those below until each trains after the one above. */
function lowered(order: readonly Place[], from: number): Place[] {
  const made = [...order];
  for (let index = from + 1; index < made.length; index += 1) {
    const [previous, one] = [made[index - 1] as Place, made[index] as Place];
    if (before(previous, one)) break;
    made[index] = { ...one, priority: previous.priority - (previous.created < one.created ? 0 : 1) };
  }
  return made;
}

/**
 * The fewest new priorities, by id, with which the run at ``from`` comes to ``to`` and all else stays in order. Null if
 * there is no room between -100 and 100.
 */
export function reorder(places: readonly Place[], from: number, to: number): ReadonlyMap<string, number> | null {
  const order = [...places];
  const [moved] = order.splice(from, 1) as [Place];
  order.splice(to, 0, moved);
  const [above, below] = [order[to - 1], order[to + 1]];
  const candidates = [
    moved.priority,
    ...(above === undefined ? [] : [above.priority - (above.created < moved.created ? 0 : 1)]),
    ...(below === undefined ? [] : [least(moved, below)]),
  ];
  const priorities = new Map(places.map((one) => [one.id, one.priority]));
  const ways = candidates
    .map((priority) => Math.max(-MOST, Math.min(MOST, priority)))
    .map((priority) => order.map((one) => (one.id === moved.id ? { ...one, priority } : one)))
    .map((made) => lowered(raised(made, to), to))
    .filter((made) => made.every((one) => Math.abs(one.priority) <= MOST))
    .map((made) => new Map(made.flatMap((one) => (priorities.get(one.id) === one.priority ? [] : [[one.id, one.priority]]))))
    .sort((a, b) => a.size - b.size);
  return ways[0] ?? null;
}
