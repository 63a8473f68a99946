import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { useAfresh } from "@/app/afresh";
import { Button } from "@/components/ui/button";
import { INPUT } from "@/components/ui/field";
import { Empty, Failure } from "@/components/ui/message";
import type { Schemas } from "@/lib/api";
import { describe } from "../run/describe";
import { GROUPS, type Group, NAMES } from "./kinds";
import { activityQuery, type Wanted } from "./queries";

type Page = Schemas["ActivityView"];
type Happened = Page["events"][number];

const route = getRouteApi("/activity");
const REST_MILLISECONDS = 500;

/** Who did what, and why: the audit trail. */
export function ActivityPage() {
  const wanted = route.useSearch();
  const navigate = route.useNavigate();
  const change = (next: Wanted) => void navigate({ search: (old: Wanted) => ({ ...old, ...next }), replace: true });
  const query = activityQuery(wanted);
  const { data, error, hasNextPage, isFetchingNextPage, fetchNextPage } = useInfiniteQuery(query);
  const kinds: readonly string[] = GROUPS[wanted.kind ?? "all"];
  useAfresh(query.queryKey, ({ payload }) => kinds.length === 0 || kinds.includes(payload.type), REST_MILLISECONDS);
  return (
    <div className="mx-auto flex w-full max-w-6xl flex-col gap-3 p-4">
      <h1 className="text-lg font-semibold">Activity</h1>
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2 text-dim">
        <label className="flex items-center gap-2">
          Show
          <select
            value={wanted.kind ?? "all"}
            onChange={(event) => change({ kind: event.target.value === "all" ? undefined : (event.target.value as Group) })}
            className={INPUT}
          >
            {Object.entries(NAMES).map(([group, name]) => (
              <option key={group} value={group}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <Typed label="By" hint="ann, worker, system" text={wanted.actor} onText={(actor) => change({ actor })} />
        <Typed label="Experiment" hint="name or id" text={wanted.experiment} onText={(experiment) => change({ experiment })} />
        <Typed label="Run" hint="name or id" text={wanted.run} onText={(run) => change({ run })} />
      </div>
      {error !== null && <Failure error={error} />}
      {error === null && data?.pages[0]?.events.length === 0 && <Empty title="Nothing of that kind happened" />}
      {error === null && data !== undefined && (data.pages[0]?.events.length ?? 0) > 0 && (
        <ol aria-label="What happened" className="border border-line bg-panel">
          {data.pages.flatMap((page) =>
            page.events.map((event) => <Entry key={event.seq} event={event} page={page} onActor={(actor) => change({ actor })} />),
          )}
        </ol>
      )}
      {error === null && hasNextPage && (
        <Button className="self-center" disabled={isFetchingNextPage} onClick={() => void fetchNextPage()}>
          Older
        </Button>
      )}
    </div>
  );
}

interface EntryOptions {
  readonly event: Happened;
  readonly page: Page;
  readonly onActor: (actor: string) => void;
}

function Entry({ event, page, onActor }: EntryOptions) {
  const { run_id: run, experiment_id: experiment } = event;
  return (
    <li className="flex flex-wrap gap-x-4 gap-y-0.5 border-b border-line px-3 py-1.5 last:border-0">
      <time dateTime={event.time} className="tabular w-40 shrink-0 whitespace-nowrap text-dim">
        {new Date(event.time).toLocaleString()}
      </time>
      <span className="w-36 shrink-0 truncate">
        <button type="button" title={`Only what ${event.actor} did`} className="max-w-full truncate hover:underline" onClick={() => onActor(event.actor)}>
          {event.actor}
        </button>
      </span>
      <span className="w-40 shrink-0 truncate">
        {run !== null ? (
          <Subject named={page.runs[run]} id={run} kind="run" />
        ) : (
          experiment !== null && <Subject named={page.experiments[experiment]} id={experiment} kind="experiment" />
        )}
      </span>
      <span className="min-w-64 flex-1">{describe(event.payload)}</span>
    </li>
  );
}

interface SubjectOptions {
  readonly named: Schemas["NamedView"] | undefined;
  readonly id: string;
  readonly kind: "run" | "experiment";
}

/** What it happened to; a link unless that was deleted. */
function Subject({ named, id, kind }: SubjectOptions) {
  if (named?.exists !== true)
    return <span className="text-dim">{named === undefined ? id : <del title="deleted since">{named.name}</del>}</span>;
  const look = "text-accent hover:underline";
  return kind === "run" ? (
    <Link to="/runs/$run" params={{ run: id }} className={look}>
      {named.name}
    </Link>
  ) : (
    <Link to="/experiments/$experiment" params={{ experiment: id }} className={look}>
      {named.name}
    </Link>
  );
}

interface TypedOptions {
  readonly label: string;
  readonly hint: string;
  readonly text: string | undefined;
  readonly onText: (text: string | undefined) => void;
}

/** A text that counts once Enter is pressed or the field is left. */
function Typed({ label, hint, text = "", onText }: TypedOptions) {
  const [typed, setTyped] = useState(text);
  useEffect(() => setTyped(text), [text]);
  const done = () => {
    if (typed.trim() !== text) onText(typed.trim() || undefined);
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        done();
      }}
    >
      <label className="flex items-center gap-2">
        {label}
        <input
          value={typed}
          placeholder={hint}
          onChange={(event) => setTyped(event.target.value)}
          onBlur={done}
          className={`${INPUT} w-36`}
        />
      </label>
    </form>
  );
}
