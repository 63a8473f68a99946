import { useNavigate } from "@tanstack/react-router";
import { lazy, Suspense, useEffect, useMemo, useState } from "react";
import { PAGES } from "@/app/pages";
import { setTheme, THEMES } from "@/lib/theme";
import { isTyping, Keys } from "./keys";
import { allCommands, type Command, useCommands } from "./registry";

const load = () => import("./Palette");
const Palette = lazy(load);
/** After the page is shown, so that the first letters typed into the palette are not lost while it loads. */
const LOAD_MILLISECONDS = 2000;

/** Listens to the keys of the whole page, and shows the palette when it is asked for. */
export function Commands() {
  const navigate = useNavigate();
  const [open, setOpen] = useState(false);
  const general = useMemo<readonly Command[]>(
    () => [
      ...[...PAGES, ["/shortcuts", "Shortcuts", "?"] as const].map(([to, title, keys]) => ({ title, group: "Go to", keys, run: () => void navigate({ to }) })),
      ...THEMES.map((theme) => ({ title: `Theme: ${theme}`, group: "Look", run: () => setTheme(theme) })),
    ],
    [navigate],
  );
  useCommands(general);
  useEffect(() => {
    const timer = setTimeout(() => void load(), LOAD_MILLISECONDS);
    return () => clearTimeout(timer);
  }, []);
  useEffect(() => {
    const keys = new Keys(allCommands);
    const listen = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        setOpen(true);
      } else if (!isTyping(event) && document.querySelector("[role=dialog]") === null) {
        const found = keys.press(event.key, event.timeStamp);
        if (found === null) return;
        event.preventDefault();
        found.run();
      }
    };
    window.addEventListener("keydown", listen);
    return () => window.removeEventListener("keydown", listen);
  }, []);
  return open ? (
    <Suspense>
      <Palette onClose={() => setOpen(false)} />
    </Suspense>
  ) : null;
}
