import { expect, it } from "vitest";
import { type Place, reorder } from "./reorder";

/** Runs a, b, c ... of these priorities, the oldest first. */
function made(...priorities: number[]): Place[] {
  const places = priorities.map((priority, created) => ({ id: String.fromCharCode(97 + created), priority, created }));
  return places.sort((first, second) => second.priority - first.priority || first.created - second.created);
}

function after(places: readonly Place[], changes: ReadonlyMap<string, number>): string {
  return places
    .map((one) => ({ ...one, priority: changes.get(one.id) ?? one.priority }))
    .sort((first, second) => second.priority - first.priority || first.created - second.created)
    .map((one) => one.id)
    .join("");
}

it("the youngest of equals comes to the front with one change", () => {
  expect(reorder(made(0, 0, 0), 2, 0)).toEqual(new Map([["c", 1]]));
});

it("the oldest of equals goes to the end with one change", () => {
  expect(reorder(made(0, 0, 0), 0, 2)).toEqual(new Map([["a", -1]]));
});

it("an older run needs no more than the priority of those below the place", () => {
  expect(reorder(made(0, 5, 5), 2, 0)).toEqual(new Map([["a", 5]]));
});

it("every move of every queue gives the wanted order, and leaves the others as they were", () => {
  for (const queue of [made(0, 0, 0, 0), made(3, 1, 1, 0), made(-2, 5, 5, 5, 7), made(1, 2, 3, 4, 5)])
    for (let from = 0; from < queue.length; from += 1)
      for (let to = 0; to < queue.length; to += 1) {
        const wanted = queue.map((one) => one.id);
        wanted.splice(to, 0, ...wanted.splice(from, 1));
        const changes = reorder(queue, from, to);
        expect(changes).not.toBeNull();
        expect(after(queue, changes as ReadonlyMap<string, number>)).toBe(wanted.join(""));
      }
});

it("where there is no room above, those below make it", () => {
  const queue = made(100, 100, 100);
  const changes = reorder(queue, 2, 0);
  expect(after(queue, changes as ReadonlyMap<string, number>)).toBe("cab");
  expect([...(changes ?? new Map()).values()].every((one) => one <= 100)).toBe(true);
});

it("staying where it is changes nothing", () => {
  expect(reorder(made(2, 2), 1, 1)).toEqual(new Map());
});
