/** One figure over the time of day, with gaps where nothing was read. */
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { usePaint } from "@/lib/theme";

interface Options {
  /** Seconds since 1970. */
  readonly times: readonly number[];
  readonly values: readonly (number | null)[];
  readonly worded: (value: number) => string;
  /** The largest value that there can be, if that is known. */
  readonly most?: number | undefined;
  readonly label: string;
}

const HEIGHT = 124;

export function TimeChart({ times, values, worded, most, label }: Options) {
  const holder = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const paint = usePaint();
  const latest = useRef({ times, values, worded });
  latest.current = { times, values, worded };

  useEffect(() => {
    const element = holder.current;
    if (element === null) return;
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string) => style.getPropertyValue(name).trim();
    const axis = { stroke: colour("--dim"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
    const made = new uPlot(
      {
        width: element.clientWidth,
        height: HEIGHT,
        cursor: { sync: { key: "clock" }, drag: { x: false, y: false } },
        legend: { show: false },
        scales: { y: { range: (_, low, high) => [Math.min(0, low), Math.max(most ?? 0, high, 1e-9)] } },
        axes: [
          { ...axis, size: 42 },
          { ...axis, size: 64, space: 26, values: (_, ticks) => ticks.map((tick) => latest.current.worded(tick)) },
        ],
        series: [{}, { stroke: colour("--accent"), width: 1.5, points: { show: false } }],
      },
      [[...latest.current.times], [...latest.current.values]],
      element,
    );
    chart.current = made;
    const resized = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }));
    resized.observe(element);
    return () => {
      resized.disconnect();
      made.destroy();
      chart.current = null;
    };
  }, [most, paint]);

  useEffect(() => chart.current?.setData([[...times], [...values]]), [times, values]);

  return <div ref={holder} role="img" aria-label={label} className="w-full" />;
}
