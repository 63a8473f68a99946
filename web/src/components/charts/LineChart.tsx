/** Lines of many runs over steps. uPlot draws; this keeps it the right size, in the right colours, and up to date. */
import { useEffect, useMemo, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Series } from "@/lib/api";
import { align, smooth } from "@/lib/align";
import { strokeOf } from "@/lib/colour";
import { number } from "@/lib/format";
import { usePaint } from "@/lib/theme";

interface Line {
  readonly id: string;
  readonly name: string;
  readonly series: Series;
}

interface Options {
  readonly lines: readonly Line[];
  readonly height: number;
  readonly smoothing: number;
  readonly logarithmic: boolean;
  /** Charts with the same name show the same place. */
  readonly sync: string;
  readonly highlighted: string | null;
  readonly onHighlight: (id: string | null) => void;
  readonly label: string;
}

export function LineChart(options: Options) {
  const { lines, height, smoothing, logarithmic, sync, highlighted, onHighlight, label } = options;
  const holder = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const paint = usePaint();
  const ids = lines.map((line) => line.id).join(" ");
  const data = useMemo(
    () => align(lines.map((line) => line.series), (one) => smooth(one.mean, smoothing)) as uPlot.AlignedData,
    [lines, smoothing],
  );
  const latest = useRef({ data, onHighlight });
  latest.current = { data, onHighlight };

  // the lines' names change only with their ids
  useEffect(() => {
    const element = holder.current;
    if (element === null) return;
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string) => style.getPropertyValue(name).trim();
    const axis = { stroke: colour("--dim"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
    const lightness = colour("--line-lightness");
    const made = new uPlot(
      {
        width: element.clientWidth,
        height,
        cursor: { sync: { key: sync }, focus: { prox: 24 }, drag: { x: true, y: false } },
        focus: { alpha: 0.25 },
        legend: { show: false },
        scales: { x: { time: false }, y: { distr: logarithmic ? 3 : 1 } },
        axes: [{ ...axis, size: 28 }, { ...axis, size: 56, values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : number(tick))) }],
        series: [
          {},
          ...lines.map((line) => {
            const stroke = strokeOf(line.id);
            return {
              label: line.name,
              stroke: stroke.colour.replace("var(--line-lightness)", lightness),
              dash: [...stroke.dash],
              width: 1.5,
              spanGaps: true,
              points: { show: line.series.steps.length < 2 },
            };
          }),
        ],
        hooks: {
          setSeries: [
            (self, index) => {
              const found = index === null || index === 0 ? null : (lines[index - 1]?.id ?? null);
              if (self.cursor.event) latest.current.onHighlight(found);
            },
          ],
        },
      },
      latest.current.data,
      element,
    );
    chart.current = made;
    const resized = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }));
    resized.observe(element);
    return () => {
      resized.disconnect();
      made.destroy();
      chart.current = null;
    };
  }, [ids, height, logarithmic, sync, paint]);

  useEffect(() => {
    const zoomed = chart.current;
    if (zoomed === null) return;
    const all = zoomed.data[0];
    const { min, max } = zoomed.scales["x"] ?? {};
    const zoomedIn = min != null && max != null && (min !== all[0] || max !== all[all.length - 1]);
    const whole = all.length === 0 || !zoomedIn;
    zoomed.setData(data, whole);
    if (!whole) zoomed.redraw();
  }, [data]);

  useEffect(() => {
    const index = lines.findIndex((line) => line.id === highlighted);
    chart.current?.setSeries(index < 0 ? null : index + 1, { focus: true }, false);
  }, [highlighted, lines]);

  return <div ref={holder} role="img" aria-label={label} className="w-full" />;
}
