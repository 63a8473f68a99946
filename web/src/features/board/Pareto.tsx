import { Link } from "@tanstack/react-router";
import { INPUT } from "@/components/ui/field";
import { Empty } from "@/components/ui/message";
import type { Field, Run, RunPage } from "@/lib/api";
import type { Stroke } from "@/lib/colour";
import { number } from "@/lib/format";
import { metricsOf } from "./columns";
import { front, type Goal, goalText, parseGoal } from "./pareto";
import { Scatter } from "./Scatter";

interface Options {
  readonly page: RunPage;
  /** Those to look at. */
  readonly shown: readonly Run[];
  readonly fields: readonly Field[];
  readonly goals: readonly string[];
  readonly onGoals: (goals: readonly string[]) => void;
  readonly strokes: ReadonlyMap<string, Stroke>;
  readonly highlighted: string | null;
  readonly onHighlight: (id: string | null) => void;
  readonly onOpen: (id: string) => void;
}

/** Two goals against each other, by the last value of each metric. */
export default function Pareto({ page, shown, fields, goals, onGoals, ...marks }: Options) {
  const metrics = metricsOf(page.runs);
  const goal = (index: number): Goal => {
    const metric = metrics[Math.min(index, metrics.length - 1)] ?? "";
    return parseGoal(goals[index]) ?? { metric, least: isLess(fields, metric) };
  };
  if (metrics.length < 2) return <Empty title="It takes two metrics; these runs have not measured so many yet" />;
  const [first, second] = [goal(0), goal(1)];
  const choose = (index: number, next: Goal) => onGoals([first, second].map((one, place) => goalText(place === index ? next : one)));
  const candidates = shown.flatMap((run) => {
    const [a, b] = [run.summary[first.metric], run.summary[second.metric]];
    return typeof a === "number" && typeof b === "number" ? [{ id: run.id, name: run.name, first: a, second: b }] : [];
  });
  const best = front(candidates, first, second);
  const names = new Map(shown.map((run) => [run.id, run.name]));
  return (
    <section aria-label="Pareto front" className="flex flex-col gap-3">
      <div className="flex flex-wrap items-center gap-4 text-dim">
        {[first, second].map((one, index) => (
          <GoalChoice key={index} number={index === 0 ? "First" : "Second"} goal={one} metrics={metrics} onChoose={(next) => choose(index, next)} fields={fields} />
        ))}
        <span className="tabular">
          {best.length} of {candidates.length} runs are on the front
        </span>
      </div>
      <figure className="min-w-0 border border-line bg-panel p-2">
        <Scatter
          points={candidates.map((one) => ({ id: one.id, name: one.name, x: one.first, y: one.second }))}
          x={`${first.metric} (${first.least ? "less" : "more"} is better)`}
          y={`${second.metric} (${second.least ? "less" : "more"})`}
          label={`${second.metric} against ${first.metric} of ${candidates.length} runs`}
          height={360}
          linear
          joined={best.map((one) => one.id)}
          {...marks}
        />
      </figure>
      <div className="overflow-x-auto">
        <table className="w-full border border-line bg-panel text-left">
          <caption className="sr-only">Runs on the front</caption>
          <thead className="text-dim">
            <tr className="border-b border-line">
              {["Run", first.metric, second.metric].map((title, index) => (
                <th key={index} className="px-3 py-1.5 font-medium">
                  {title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {best.map((one) => (
              <tr key={one.id} onMouseEnter={() => marks.onHighlight(one.id)} onMouseLeave={() => marks.onHighlight(null)} className="border-b border-line last:border-0">
                <td className="px-3 py-1.5">
                  <Link to="/runs/$run" params={{ run: one.id }} className="font-medium hover:underline">
                    {names.get(one.id)}
                  </Link>
                </td>
                <td className="tabular px-3 py-1.5">{number(one.first)}</td>
                <td className="tabular px-3 py-1.5">{number(one.second)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

interface ChoiceOptions {
  readonly number: string;
  readonly goal: Goal;
  readonly metrics: readonly string[];
  readonly fields: readonly Field[];
  readonly onChoose: (goal: Goal) => void;
}

function GoalChoice({ number: which, goal, metrics, fields, onChoose }: ChoiceOptions) {
  return (
    <span className="flex items-center gap-2">
      <label className="flex items-center gap-2">
        {which} metric
        <select value={goal.metric} onChange={(event) => onChoose({ metric: event.target.value, least: isLess(fields, event.target.value) })} className={INPUT}>
          {[...new Set([goal.metric, ...metrics])].map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </label>
      <select
        aria-label={`${which} direction`}
        value={goal.least ? "less" : "more"}
        onChange={(event) => onChoose({ ...goal, least: event.target.value === "less" })}
        className={INPUT}
      >
        <option value="less">less is better</option>
        <option value="more">more is better</option>
      </select>
    </span>
  );
}

function isLess(fields: readonly Field[], metric: string): boolean {
  return fields.find((field) => field.name === metric)?.lower_is_better ?? false;
}
