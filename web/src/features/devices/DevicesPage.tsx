import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { useAfresh } from "@/app/afresh";
import { INPUT } from "@/components/ui/field";
import { Command, Empty, Failure } from "@/components/ui/message";
import { State } from "@/components/ui/state";
import type { Schemas } from "@/lib/api";
import { bytes, duration } from "@/lib/format";
import { Curves } from "./Curves";
import { FIGURES, type Figure, TITLES, worded } from "./figures";
import { devicesQuery, historyQuery } from "./queries";

type Device = Schemas["DeviceView"];

const route = getRouteApi("/devices");

const SPANS = { "10m": 600, "1h": 3600, "6h": 6 * 3600, "1d": 86_400, "7d": 7 * 86_400 } as const;
const NAMES: Record<Span, string> = { "10m": "10 minutes", "1h": "hour", "6h": "6 hours", "1d": "day", "7d": "7 days" };
export type Span = keyof typeof SPANS;

export function isSpan(text: unknown): text is Span {
  return typeof text === "string" && text in SPANS;
}

/** What this home's machines have to train on, and what that does. */
export function DevicesPage() {
  const { span = "1h" } = route.useSearch();
  const navigate = route.useNavigate();
  const { data, error, dataUpdatedAt } = useQuery(devicesQuery());
  useAfresh(["devices"], ({ payload }) => payload.type === "run.state_changed" || payload.type === "run.attempt_started", 500);
  return (
    <div className="flex flex-col gap-3 p-4">
      <div className="flex flex-wrap items-center gap-4">
        <h1 className="text-lg font-semibold">Devices</h1>
        <label className="ml-auto flex items-center gap-2 text-dim">
          Last
          <select
            value={span}
            onChange={(event) => void navigate({ search: { span: event.target.value as Span }, replace: true })}
            className={INPUT}
          >
            {Object.entries(NAMES).map(([key, name]) => (
              <option key={key} value={key}>
                {name}
              </option>
            ))}
          </select>
        </label>
      </div>
      {error !== null && <Failure error={error} />}
      {Object.entries(data?.trouble ?? {}).map(([host, why]) => (
        <p key={host} role="alert" className="text-warn">
          {host}: whether it has accelerators is not known: {why}
        </p>
      ))}
      {data?.devices.length === 0 && (
        <Empty title="Nothing was read yet">
          <p>
            The agent of <Command>modelyard up</Command> reads this machine's devices every five seconds.
          </p>
        </Empty>
      )}
      {data?.devices.map((device) => (
        <Card key={`${device.host} ${device.name}`} device={device} answered={dataUpdatedAt} span={span} />
      ))}
    </div>
  );
}

interface CardOptions {
  readonly device: Device;
  /** When the server said so, in milliseconds since 1970. */
  readonly answered: number;
  readonly span: Span;
}

function Card({ device, answered, span }: CardOptions) {
  const { data, error } = useQuery(historyQuery(device.host, device.name, SPANS[span]));
  return (
    <section aria-label={`${device.name} on ${device.host}`} className="flex flex-col gap-3 border border-line bg-panel p-3">
      <div className="flex flex-wrap items-baseline gap-x-3">
        <h2 className="font-medium">{device.name}</h2>
        <span className="text-dim">{[device.platform.toUpperCase(), device.model].filter(Boolean).join(", ")}</span>
        <span className="text-dim">on {device.host}</span>
        <Age device={device} answered={answered} />
      </div>
      <dl className="flex flex-wrap gap-x-8 gap-y-2">
        {FIGURES.map((figure) => (
          <div key={figure} className="max-w-72">
            <dt className="text-dim">{TITLES[figure]}</dt>
            <dd>
              <Value device={device} figure={figure} />
            </dd>
          </div>
        ))}
      </dl>
      <Processes device={device} />
      {error !== null && <Failure error={error} />}
      {data !== undefined && <Curves curve={data} name={device.name} />}
    </section>
  );
}

/** How old the figures are; it grows by itself, so that nothing old looks like the present. */
function Age({ device, answered }: { readonly device: Device; readonly answered: number }) {
  const [waited, setWaited] = useState(0);
  useEffect(() => {
    const begun = performance.now();
    setWaited(0);
    const timer = setInterval(() => setWaited((performance.now() - begun) / 1000), 1000);
    return () => clearInterval(timer);
  }, [answered]);
  if (device.age_seconds === null) return <span className="ml-auto text-warn">never read</span>;
  const age = duration(device.age_seconds + waited);
  return device.stale ? (
    <strong className="ml-auto font-medium text-warn">these figures are {age} old: no agent reads this device now</strong>
  ) : (
    <span className="tabular ml-auto text-dim">read {age} ago</span>
  );
}

function Value({ device, figure }: { readonly device: Device; readonly figure: Figure }) {
  const found = device.figures[figure];
  if (found === undefined) return <span className="text-dim">unavailable: {device.unavailable[figure] ?? "it was not read"}</span>;
  const total = device.figures["memory_total"];
  return (
    <strong className={device.stale ? "tabular text-dim" : "tabular"}>
      {worded(figure, found)}
      {figure === "memory_used" && total !== undefined && ` of ${bytes(total)}`}
    </strong>
  );
}

function Processes({ device }: { readonly device: Device }) {
  if (device.processes.length === 0) return <p className="text-dim">No run trains here now.</p>;
  return (
    <ul aria-label="Processes" className="flex flex-col gap-1">
      {device.processes.map((one) => (
        <li key={one.pid} className="flex flex-wrap gap-x-4">
          <span className="tabular text-dim">
            process {one.pid}, {one.memory === null ? "memory unavailable" : `${bytes(one.memory)} of main memory`}
          </span>
          {one.runs.map((run) => (
            <span key={run.id} className="flex gap-1.5">
              <Link to="/runs/$run" params={{ run: run.id }} className="text-accent hover:underline">
                {run.name}
              </Link>
              <State state={run.state} />
            </span>
          ))}
        </li>
      ))}
    </ul>
  );
}
