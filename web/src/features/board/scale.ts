/** Where values lie on an axis of a drawing, from 0 to 1: numbers by size, all else by name. */
import type { Value } from "@/lib/api";
import { number } from "@/lib/format";
import { groups, label } from "./strokes";

/** With positive numbers that spread so far, an axis is logarithmic. */
const LOG_SPREAD = 30;
const TICKS = 5;

export interface Scale {
  readonly kind: "linear" | "logarithmic" | "categories";
  readonly ticks: readonly { readonly at: number; readonly label: string }[];
  /** Null for a value that is missing or no finite number. */
  readonly at: (value: Value) => number | null;
}

export function scaleOf(values: readonly Value[], options: { readonly linear?: boolean } = {}): Scale {
  const present = values.filter((one) => one !== null);
  const numbers = present.filter((one): one is number => typeof one === "number" && Number.isFinite(one));
  const different = new Set(present);
  const numeric = numbers.length === present.length && (options.linear === true || different.size > 2);
  return numeric && numbers.length > 0 ? ofNumbers(numbers, options.linear === true) : ofCategories(present);
}

function ofNumbers(numbers: readonly number[], linear: boolean): Scale {
  const least = numbers.reduce((a, b) => Math.min(a, b));
  const most = numbers.reduce((a, b) => Math.max(a, b));
  const logarithmic = !linear && least > 0 && most / least >= LOG_SPREAD;
  const go = logarithmic ? Math.log : (one: number) => one;
  const back = logarithmic ? Math.exp : (one: number) => one;
  const [low, high] = [go(least), go(most)];
  const place = (one: number) => (high === low ? 0.5 : (go(one) - low) / (high - low));
  const ticks = Array.from({ length: high === low ? 1 : TICKS }, (_, index) => {
    const at = high === low ? 0.5 : index / (TICKS - 1);
    return { at, label: number(Number(back(low + at * (high - low)).toPrecision(4))) };
  });
  return {
    kind: logarithmic ? "logarithmic" : "linear",
    ticks,
    at: (one) => (typeof one === "number" && Number.isFinite(one) && !(logarithmic && one <= 0) ? place(one) : null),
  };
}

function ofCategories(present: readonly Value[]): Scale {
  const { values } = groups(present);
  const place = (index: number) => (values.length === 1 ? 0.5 : index / (values.length - 1));
  const at = new Map(values.map((one, index) => [one, place(index)]));
  return {
    kind: "categories",
    ticks: values.map((one, index) => ({ at: place(index), label: label(one) })),
    at: (one) => (one === null ? null : (at.get(one) ?? null)),
  };
}
