import { number } from "@/lib/format";
import type { Report } from "./queries";

const MOST_SHOWN = 50;

/** What was found in a data set. */
export function ReportView({ report }: { readonly report: Report }) {
  const { duplicates, corrupt } = report;
  return (
    <div className="flex flex-col gap-3">
      <Lines title="What stops training" lines={report.errors} look="text-bad" />
      <Lines title="What to look at" lines={report.warnings} look="text-warn" />
      <Lines title="How it was read" lines={report.notes} look="text-dim" />
      <p className="text-dim">
        {spread("width", report.width)}
        {spread("height", report.height)}
        modes {Object.entries(report.modes).map(([mode, count]) => `${mode} ${count}`).join(", ")}; fingerprint{" "}
        <span className="font-mono text-xs break-all">{report.fingerprint ?? "unavailable"}</span>
      </p>
      <Balance report={report} />
      <details>
        <summary>
          {duplicates.across_splits} duplicates across splits, {duplicates.within_splits} within,{" "}
          {duplicates.contradictory} with different labels
        </summary>
        <ul className="font-mono text-xs break-all text-dim">
          {duplicates.groups.slice(0, MOST_SHOWN).map((group) => (
            <li key={group.images.join()}>{group.images.join(" = ")}</li>
          ))}
        </ul>
      </details>
      <details open={corrupt.length > 0}>
        <summary>{corrupt.length === 1 ? "1 corrupt image" : `${corrupt.length} corrupt images`}</summary>
        <ul className="font-mono text-xs break-all text-bad">
          {corrupt.slice(0, MOST_SHOWN).map((one) => (
            <li key={one.name}>
              {one.name}: {one.reason}
            </li>
          ))}
          {corrupt.length > MOST_SHOWN && <li>and {corrupt.length - MOST_SHOWN} more</li>}
        </ul>
      </details>
    </div>
  );
}

function spread(what: string, found: Report["width"]): string {
  if (found === null) return "";
  return `${what} ${number(found.min)} to ${number(found.max)} pixels, median ${number(found.median)}; `;
}

function Lines({ title, lines, look }: { readonly title: string; readonly lines: readonly string[]; readonly look: string }) {
  if (lines.length === 0) return null;
  return (
    <div>
      <h3 className="font-medium">{title}</h3>
      <ul className={look}>
        {lines.map((line) => (
          <li key={line}>{line}</li>
        ))}
      </ul>
    </div>
  );
}

/** Each class with how many samples it has in each split, as bars and numbers, and some of its pictures. */
function Balance({ report }: { readonly report: Report }) {
  const splits = Object.entries(report.splits);
  const most = Math.max(1, ...splits.flatMap(([, split]) => Object.values(split.per_class)));
  return (
    <div className="overflow-x-auto">
      <table className="w-full text-left" aria-label="Classes">
        <thead className="text-dim">
          <tr className="border-b border-line">
            <th className="py-1 pr-3 font-medium">Class</th>
            {splits.map(([name, split]) => (
              <th key={name} className="py-1 pr-3 font-medium">
                {name} {split.count}
                {split.drawn && " (drawn)"}
              </th>
            ))}
            <th className="py-1 font-medium">Samples</th>
          </tr>
        </thead>
        <tbody>
          {report.classes.map((label) => (
            <tr key={label} className="border-b border-line last:border-0">
              <td className="py-1 pr-3">{label}</td>
              {splits.map(([name, split]) => {
                const count = split.per_class[label] ?? 0;
                return (
                  <td key={name} className="tabular w-40 py-1 pr-3">
                    <span className="flex items-center gap-2">
                      <span className="w-10 text-right">{count}</span>
                      <span
                        aria-hidden
                        className="block h-3 bg-accent"
                        style={{ width: `${(count / most) * 6}rem` }}
                      />
                    </span>
                  </td>
                );
              })}
              <td className="py-1">
                <span className="flex gap-1">
                  {(report.samples[label] ?? []).map((picture, index) => (
                    <img
                      key={String(index)}
                      src={`data:image/png;base64,${picture}`}
                      alt={`${label}, sample ${index + 1}`}
                      loading="lazy"
                      className="size-10 shrink-0 bg-page object-contain [image-rendering:pixelated]"
                    />
                  ))}
                </span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
