import { useQuery } from "@tanstack/react-query";
import { Link, Outlet } from "@tanstack/react-router";
import clsx from "clsx";
import { useEffect, useState } from "react";
import { duration } from "@/lib/format";
import { useConnection } from "@/lib/live";
import { serverQuery } from "@/lib/queries";
import { setTheme, THEMES, useTheme } from "@/lib/theme";
import { live } from "./live";

/** The frame of every page. */
export function Shell() {
  return (
    <div className="flex h-dvh flex-col">
      <header className="flex min-h-11 flex-wrap items-center gap-x-4 gap-y-1 border-b border-line bg-panel px-4 py-1">
        <Link to="/" className="flex items-center gap-2 font-semibold">
          <img src="/icon.svg" alt="" className="size-5" />
          Modelyard
        </Link>
        <nav aria-label="Main" className="flex gap-3 text-dim">
          <Link to="/" activeProps={{ className: "text-text" }} activeOptions={{ exact: true }}>
            Experiments
          </Link>
          <Link to="/testing" activeProps={{ className: "text-text" }}>
            Testing
          </Link>
        </nav>
        <div className="ml-auto flex items-center gap-4">
          <Agents />
          <Connected />
          <ThemeChoice />
        </div>
      </header>
      <main className="flex min-h-0 flex-1 flex-col overflow-auto">
        <Outlet />
      </main>
    </div>
  );
}

/** Whether what is shown is true now, and since when not. */
function Connected() {
  const { connection, heard } = useConnection(live);
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  const words = {
    connecting: "connecting",
    live: "live",
    lost: `the server is not there; this is ${duration(Math.max(0, (now - heard) / 1000))} old`,
  };
  return (
    <span role="status" className={clsx("flex items-center gap-1.5", connection === "lost" ? "text-bad" : "text-dim")}>
      <span
        aria-hidden
        className={clsx(
          "size-2 rounded-full",
          connection === "live" ? "bg-good" : connection === "lost" ? "bg-bad" : "bg-warn",
        )}
      />
      {words[connection]}
    </span>
  );
}

/** That queued runs wait, and why, while nobody trains. */
function Agents() {
  const { data } = useQuery(serverQuery());
  if (data === undefined || (data.agents.length > 0 && data.trouble === "")) return null;
  const why = data.trouble || "queued runs wait for modelyard train or modelyard up";
  return (
    <span className="max-w-80 truncate text-warn" title={why}>
      no agent: {why}
    </span>
  );
}

function ThemeChoice() {
  const theme = useTheme();
  return (
    <label className="flex items-center gap-1.5 text-dim">
      <span className="max-sm:sr-only">Theme</span>
      <select
        value={theme}
        onChange={(event) => setTheme(event.target.value as (typeof THEMES)[number])}
        className="rounded border border-line bg-panel px-1 py-0.5 text-text"
      >
        {THEMES.map((one) => (
          <option key={one}>{one}</option>
        ))}
      </select>
    </label>
  );
}
