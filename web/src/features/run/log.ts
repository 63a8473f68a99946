/** A log of any length: the pages that are looked at, kept true by the page's one connection. */
import { useQueries } from "@tanstack/react-query";
import { type RefObject, useEffect, useLayoutEffect, useState } from "react";
import { cache, live } from "@/app/live";
import { ask, client, type LogLine } from "@/lib/api";
import { Refresher } from "@/lib/refresh";
import { LINES_PER_PAGE, logPageQuery } from "./queries";

const refresher = new Refresher(cache);

/** The number of a log's last line, as it grows; null until it is known. */
export function useLogEnd(runId: string): { readonly last: number | null; readonly error: Error | null } {
  const [last, setLast] = useState<number | null>(null);
  const [error, setError] = useState<Error | null>(null);
  useEffect(() => {
    let left = false;
    let end: (() => void) | null = null;
    const begin = async () => {
      const params = { path: { ref: runId }, query: { tail: 1 } };
      const { next } = await ask(client.GET("/api/v1/runs/{ref}/logs", { params }));
      if (left) return;
      setLast(next);
      end = live.follow(runId, next, (lines) => {
        keep(runId, lines);
        setLast(lines.at(-1)?.number ?? next);
        refresher.refresh({ queryKey: ["log-search", runId] });
      });
    };
    begin().catch((failed: unknown) => setError(failed as Error));
    return () => {
      left = true;
      end?.();
    };
  }, [runId]);
  return { last, error };
}

/** Put new lines at the end of those pages that are kept. */
function keep(runId: string, lines: readonly LogLine[]): void {
  for (const line of lines) {
    const index = Math.floor((line.number - 1) / LINES_PER_PAGE);
    cache.setQueryData(logPageQuery(runId, index).queryKey, (page) =>
      page !== undefined && line.number === index * LINES_PER_PAGE + page.length + 1 ? [...page, line] : page,
    );
  }
}

/** The lines ``first`` to ``end`` (numbers, without the last) by number, as far as they are there already. */
export function useLines(runId: string, first: number, end: number, last: number): ReadonlyMap<number, LogLine> {
  const from = Math.floor((first - 1) / LINES_PER_PAGE);
  const indices = Array.from({ length: Math.max(0, Math.ceil((end - 1) / LINES_PER_PAGE) - from) }, (_, at) => from + at);
  const pages = useQueries({ queries: indices.map((index) => logPageQuery(runId, index)) });
  // What came while a page was being read may be missing at its end.
  const short = indices.filter((index, at) => {
    const { data, isFetching } = pages[at] ?? {};
    return data !== undefined && !isFetching && data.length < Math.min(LINES_PER_PAGE, last - index * LINES_PER_PAGE);
  });
  const shortKey = short.join(" ");
  useEffect(() => {
    for (const index of shortKey.split(" ").filter(Boolean))
      void cache.invalidateQueries({ queryKey: logPageQuery(runId, Number(index)).queryKey, exact: true });
  }, [runId, shortKey, last]);
  return new Map(pages.flatMap(({ data }) => data?.map((line) => [line.number, line] as const) ?? []));
}

/** Which of ``count`` rows of equal height are to be seen: the first, and the one after the last. */
export function useRows(scroller: RefObject<HTMLElement | null>, count: number, pixels: number) {
  const [place, setPlace] = useState({ top: 0, height: 600 });
  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const look = () => setPlace({ top: element.scrollTop, height: element.clientHeight });
    const resized = new ResizeObserver(look);
    resized.observe(element);
    element.addEventListener("scroll", look, { passive: true });
    return () => {
      resized.disconnect();
      element.removeEventListener("scroll", look);
    };
  }, [scroller]);
  const first = Math.max(0, Math.min(count, Math.floor(place.top / pixels) - SPARE));
  return { first, end: Math.min(count, Math.ceil((place.top + place.height) / pixels) + SPARE) };
}

const SPARE = 30;
