/** Lines of many runs over steps, epochs, time or samples. uPlot draws; this keeps it the right size, in the right colours, and up to date. */
import { useEffect, useMemo, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Series } from "@/lib/api";
import { align, smooth } from "@/lib/align";
import { AXIS_LABELS, type Axis, placeText, tickDistances } from "@/lib/axis";
import type { Stroke } from "@/lib/colour";
import { number } from "@/lib/format";
import { usePaint } from "@/lib/theme";

interface Line {
  readonly id: string;
  readonly name: string;
  readonly series: Series;
  readonly stroke: Stroke;
}

interface Options {
  readonly lines: readonly Line[];
  readonly height: number;
  readonly smoothing: number;
  readonly logarithmic: boolean;
  readonly x: Axis;
  /** Charts with the same name, by the same axis, show the same place. */
  readonly sync: string;
  readonly highlighted: string | null;
  readonly onHighlight: (id: string | null) => void;
  /** A line was pressed. */
  readonly onOpen?: ((id: string) => void) | undefined;
  readonly label: string;
}

export function LineChart(options: Options) {
  const { lines, height, smoothing, logarithmic, x, sync, highlighted, onHighlight, onOpen, label } = options;
  const holder = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const paint = usePaint();
  const looks = lines.map(({ id, stroke }) => `${id} ${stroke.colour} ${stroke.dash.join(",")}`).join("\n");
  const data = useMemo(
    () => align(lines.map((line) => line.series), (one) => smooth(one.mean, smoothing)) as uPlot.AlignedData,
    [lines, smoothing],
  );
  const latest = useRef({ data, onHighlight, onOpen });
  latest.current = { data, onHighlight, onOpen };

  // the lines' names change only with their ids
  useEffect(() => {
    const element = holder.current;
    if (element === null) return;
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string) => style.getPropertyValue(name).trim();
    const axis = { stroke: colour("--dim"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
    const lightness = colour("--line-lightness");
    const incrs = tickDistances(x);
    let pointed: string | null = null;
    const made = new uPlot(
      {
        width: element.clientWidth,
        height,
        cursor: { sync: { key: `${sync} ${x}` }, focus: { prox: 24 }, drag: { x: true, y: false } },
        focus: { alpha: 0.25 },
        legend: { show: false },
        scales: { x: { time: false }, y: { distr: logarithmic ? 3 : 1 } },
        axes: [
          {
            ...axis,
            size: 28,
            label: AXIS_LABELS[x],
            labelSize: 16,
            labelFont: "11px system-ui, sans-serif",
            values: (_, ticks) => ticks.map((tick) => placeText(x, tick)),
            space: x === "time" ? 64 : 50,
            ...(incrs === null ? {} : { incrs }),
          },
          { ...axis, size: 56, values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : number(tick))) },
        ],
        series: [
          {},
          ...lines.map((line) => {
            return {
              label: line.name,
              stroke: line.stroke.colour.replace("var(--line-lightness)", lightness),
              dash: [...line.stroke.dash],
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
              if (!self.cursor.event) return;
              pointed = found;
              self.over.style.cursor = found === null || latest.current.onOpen === undefined ? "" : "pointer";
              latest.current.onHighlight(found);
            },
          ],
        },
      },
      latest.current.data,
      element,
    );
    made.over.addEventListener("click", () => {
      if (pointed !== null) latest.current.onOpen?.(pointed);
    });
    chart.current = made;
    const resized = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }));
    resized.observe(element);
    return () => {
      resized.disconnect();
      made.destroy();
      chart.current = null;
    };
  }, [looks, height, logarithmic, x, sync, paint]);

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
