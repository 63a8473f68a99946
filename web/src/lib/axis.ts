/** What the horizontal axis of a chart counts, and how its places are written. */
import { number } from "./format";

export const AXES = ["step", "epoch", "time", "samples"] as const;
export type Axis = (typeof AXES)[number];

export const AXIS_LABELS: Readonly<Record<Axis, string>> = {
  step: "step",
  epoch: "epoch",
  time: "time since the run began (h:mm:ss)",
  samples: "samples (steps times samples in a step)",
};

/** "1:02:03" of seconds; below zero is before the run itself began. */
export function clock(seconds: number): string {
  const whole = Math.round(Math.abs(seconds));
  const two = (part: number) => String(part).padStart(2, "0");
  const text = `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
  return seconds < 0 && whole > 0 ? `-${text}` : text;
}

/** A place on an axis, in few letters. */
export function placeText(axis: Axis, place: number): string {
  return axis === "time" ? clock(place) : number(place);
}

/** Distances between ticks that people count time in, in seconds; null leaves the choice to the chart. */
export function tickDistances(axis: Axis): number[] | null {
  if (axis !== "time") return null;
  const days = [1, 2, 5, 10, 20, 50, 100, 200].map((count) => count * 86_400);
  return [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, ...days];
}
