import { expect, it } from "vitest";
import { clock, placeText, tickDistances } from "./axis";

it.each([
  [0, "0:00:00"],
  [61, "0:01:01"],
  [3723.4, "1:02:03"],
  [90_000, "25:00:00"],
  [-61, "-0:01:01"],
  [-0.2, "0:00:00"],
])("%d seconds are %s", (seconds, said) => expect(clock(seconds)).toBe(said));

it("only time is counted as clocks do", () => {
  expect([placeText("time", 60), placeText("epoch", 1.5), placeText("samples", 64000)]).toEqual(["0:01:00", "1.5", "64,000"]);
  expect(tickDistances("time")).toContain(600);
  expect(tickDistances("epoch")).toBeNull();
});
