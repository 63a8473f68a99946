/** Reads answers again that events make old, for what is measured and not told by the events themselves. */
import type { QueryKey } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import type { EventView } from "@/lib/api";
import { Refresher } from "@/lib/refresh";
import { cache, live } from "./live";

const refresher = new Refresher(cache);

/** Read a query again after events that matter to it, at most once in so many milliseconds. */
export function useAfresh(queryKey: QueryKey, matters: (event: EventView) => boolean, milliseconds: number): void {
  const latest = useRef(matters);
  latest.current = matters;
  const key = JSON.stringify(queryKey);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | null = null;
    const end = live.listen((event) => {
      if (timer !== null || !latest.current(event)) return;
      timer = setTimeout(() => {
        timer = null;
        refresher.refresh({ queryKey: JSON.parse(key) as QueryKey });
      }, milliseconds);
    });
    return () => {
      end();
      if (timer !== null) clearTimeout(timer);
    };
  }, [key, milliseconds]);
}
