import type { Schemas } from "@/lib/api";
import { FIGURES, TITLES, worded } from "./figures";
import { TimeChart } from "./TimeChart";

/** The charts of one device: a figure that was never read has none. */
export function Curves({ curve, name }: { readonly curve: Schemas["CurveView"]; readonly name: string }) {
  const known = FIGURES.filter((figure) => curve.figures[figure]?.some((one) => one !== null));
  if (known.length === 0) return <p className="py-4 text-dim">Nothing was read in this time.</p>;
  const total = curve.figures["memory_total"]?.findLast((one) => one !== null) ?? undefined;
  const most = { utilisation: 1, memory_used: total, temperature: undefined, power: undefined };
  return (
    <div className="grid grid-cols-[repeat(auto-fill,minmax(min(100%,18rem),1fr))] gap-3">
      {known.map((figure) => (
        <figure key={figure}>
          <figcaption className="text-dim">{TITLES[figure]}</figcaption>
          <TimeChart
            times={curve.times}
            values={curve.figures[figure] ?? []}
            worded={(value) => worded(figure, value)}
            most={most[figure]}
            label={`${TITLES[figure]} of ${name} over time`}
          />
        </figure>
      ))}
    </div>
  );
}
