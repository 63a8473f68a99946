import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useId } from "react";
import { INPUT } from "@/components/ui/field";
import { Command, Empty, Failure } from "@/components/ui/message";
import type { Confusion, RunDetail } from "@/lib/api";
import { number } from "@/lib/format";
import { artifactsQuery, confusionQuery } from "./queries";
import type { RunView } from "./view";

const NAME = "confusion_matrix";
/** A larger matrix is no longer read; its pairs are. */
const MOST_CELLS = 40;
const MOST_PAIRS = 20;

interface Options {
  readonly run: RunDetail;
  readonly view: RunView;
  readonly onChange: (next: RunView) => void;
}

/** What each validation found for each class. */
export function Classes({ run, view, onChange }: Options) {
  const { data: artifacts, error } = useQuery(artifactsQuery(run.id));
  if (error !== null) return <Failure error={error} />;
  if (artifacts === undefined) return null;
  const found = artifacts.filter(({ name }) => name.split("/").at(-1) === NAME);
  const chosen = found.find(({ name }) => name === view.matrix) ?? found.at(-1);
  if (chosen === undefined) return <NoMatrix run={run} />;
  const step = view.step !== undefined && chosen.steps.includes(view.step) ? view.step : (chosen.steps.at(-1) as number);
  return (
    <>
      <div className="mb-3 flex flex-wrap items-center gap-4 text-dim">
        {found.length > 1 && (
          <label className="flex items-center gap-2">
            Split
            <select value={chosen.name} onChange={(event) => onChange({ matrix: event.target.value, step: undefined })} className={INPUT}>
              {found.map(({ name }) => (
                <option key={name} value={name}>
                  {name.split("/")[0]}
                </option>
              ))}
            </select>
          </label>
        )}
        <Steps run={run} steps={chosen.steps} step={step} onStep={(next) => onChange({ step: next })} />
        <label className="flex items-center gap-1.5">
          <input
            type="checkbox"
            checked={view.shares ?? false}
            onChange={(event) => onChange({ shares: event.target.checked || undefined })}
          />
          Shares of the true class
        </label>
      </div>
      <Matrix runId={run.id} name={chosen.name} step={step} shares={view.shares ?? false} />
    </>
  );
}

/** The newest is followed unless an older one is chosen. */
function Steps({ run, steps, step, onStep }: { readonly run: RunDetail; readonly steps: readonly number[]; readonly step: number; readonly onStep: (step: number | undefined) => void }) {
  const perEpoch = run.total_steps && run.total_epochs ? run.total_steps / run.total_epochs : 0;
  const words = (one: number) => {
    const epoch = perEpoch > 0 ? one / perEpoch : 0.5;
    return Number.isInteger(epoch) ? `epoch ${epoch}, step ${number(one)}` : `step ${number(one)}`;
  };
  const slider = useId();
  return (
    <span className="flex items-center gap-2">
      <label htmlFor={slider}>Validation</label>
      <input
        id={slider}
        type="range"
        min={0}
        max={steps.length - 1}
        step={1}
        disabled={steps.length < 2}
        value={steps.indexOf(step)}
        aria-valuetext={words(step)}
        onChange={(event) => {
          const at = Number(event.target.value);
          onStep(at === steps.length - 1 ? undefined : steps[at]);
        }}
      />
      <span className="tabular text-text">{words(step)}</span>
    </span>
  );
}

function Matrix({ runId, name, step, shares }: { readonly runId: string; readonly name: string; readonly step: number; readonly shares: boolean }) {
  const { data, error } = useQuery(confusionQuery(runId, name, step));
  if (error !== null) return <Failure error={error} />;
  if (data === undefined) return null;
  const clickable = name.startsWith("val/");
  return (
    <div className="flex flex-col gap-4">
      {data.classes.length <= MOST_CELLS ? (
        <Cells confusion={data} shares={shares} clickable={clickable} />
      ) : (
        <p className="text-dim">{data.classes.length} classes are too many for a matrix; its largest confusions:</p>
      )}
      <div className="grid gap-4 lg:grid-cols-2">
        <Figures confusion={data} />
        <Pairs confusion={data} clickable={clickable} />
      </div>
    </div>
  );
}

function Cells({ confusion: { classes, counts }, shares, clickable }: { readonly confusion: Confusion; readonly shares: boolean; readonly clickable: boolean }) {
  return (
    <div className="max-w-full overflow-auto" tabIndex={0} role="region" aria-label="Confusion matrix">
      <table className="border border-line bg-panel text-center">
        <caption className="mb-1 text-left text-dim">
          Rows: the true class. Columns: the class that was predicted.{clickable && " Press a number to see such samples, as the best checkpoint predicts them."}
        </caption>
        <thead>
          <tr>
            <th scope="col" className="px-2 py-1 text-left font-normal text-dim">
              true
            </th>
            {classes.map((one) => (
              <th key={one.name} scope="col" className="max-w-24 truncate px-2 py-1 font-medium" title={one.name}>
                {one.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {counts.map((row, target) => {
            const support = classes[target]?.support ?? 0;
            return (
              <tr key={classes[target]?.name}>
                <th scope="row" className="max-w-40 truncate px-2 py-1 text-left font-medium" title={classes[target]?.name}>
                  {classes[target]?.name}
                </th>
                {row.map((count, predicted) => {
                  const share = support === 0 ? 0 : count / support;
                  const text = shares ? (support === 0 ? "–" : share.toFixed(2)) : number(count);
                  return (
                    <td
                      key={classes[predicted]?.name}
                      className={`tabular border border-line ${target === predicted ? "font-semibold" : ""}`}
                      style={{ backgroundColor: `color-mix(in srgb, var(--accent) ${Math.round(share * 40)}%, var(--panel))` }}
                    >
                      {clickable && count > 0 ? (
                        <Link
                          from="/runs/$run"
                          to="."
                          search={{ tab: "samples", target, predicted }}
                          className="block min-w-8 px-2 py-1"
                          aria-label={`${text}: ${classes[target]?.name} predicted as ${classes[predicted]?.name}`}
                        >
                          {text}
                        </Link>
                      ) : (
                        <span className="block min-w-8 px-2 py-1">{text}</span>
                      )}
                    </td>
                  );
                })}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function Figures({ confusion: { classes } }: { readonly confusion: Confusion }) {
  const share = (value: number | null) => (value === null ? "–" : value.toFixed(3));
  return (
    <div className="max-h-[32rem] overflow-auto" tabIndex={0} role="region" aria-label="Figures of each class">
      <table className="w-full border border-line bg-panel text-right">
        <thead className="text-dim">
          <tr className="border-b border-line">
            <th scope="col" className="px-3 py-1.5 text-left font-medium">
              Class
            </th>
            {["Precision", "Recall", "F1", "Support"].map((title) => (
              <th key={title} scope="col" className="px-3 py-1.5 font-medium">
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {classes.map((one) => (
            <tr key={one.name} className="border-b border-line last:border-0">
              <th scope="row" className="px-3 py-1 text-left font-normal">
                {one.name}
              </th>
              {[share(one.precision), share(one.recall), share(one.f1), number(one.support)].map((text, index) => (
                <td key={index} className="tabular px-3 py-1">
                  {text}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Pairs({ confusion: { classes, counts }, clickable }: { readonly confusion: Confusion; readonly clickable: boolean }) {
  const pairs = counts
    .flatMap((row, target) => row.map((count, predicted) => ({ target, predicted, count })))
    .filter((one) => one.target !== one.predicted && one.count > 0)
    .sort((a, b) => b.count - a.count)
    .slice(0, MOST_PAIRS);
  return (
    <section>
      <h2 className="mb-1 font-semibold">Most confused</h2>
      {pairs.length === 0 && <p className="text-dim">Nothing was confused.</p>}
      <ol>
        {pairs.map(({ target, predicted, count }) => {
          const words = `${classes[target]?.name} as ${classes[predicted]?.name}`;
          return (
            <li key={`${target} ${predicted}`} className="flex gap-3">
              <span className="tabular w-16 text-right">{number(count)}</span>
              {clickable ? (
                <Link from="/runs/$run" to="." search={{ tab: "samples", target, predicted }} className="text-accent underline">
                  {words}
                </Link>
              ) : (
                words
              )}
            </li>
          );
        })}
      </ol>
    </section>
  );
}

function NoMatrix({ run }: { readonly run: RunDetail }) {
  const metrics = (run.config["metrics"] ?? []) as readonly (string | { readonly name?: string })[];
  const asked = metrics.some((one) => (typeof one === "string" ? one : one.name) === NAME);
  if (asked) return <Empty title="No validation has ended yet" />;
  return (
    <Empty title="This run keeps no confusion matrix">
      <p>
        Add it to the config, and every validation writes one: <Command>{"metrics: [accuracy, f1_macro, confusion_matrix]"}</Command>
      </p>
    </Empty>
  );
}
