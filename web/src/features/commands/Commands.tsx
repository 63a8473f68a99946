import { useNavigate } from "@tanstack/react-router";
import { type ComponentType, useEffect, useMemo, useState } from "react";
import { PAGES } from "@/app/pages";
import { setTheme, THEMES } from "@/lib/theme";
import { isTyping, Keys } from "./keys";
import { allCommands, type Command, useCommands } from "./registry";

/** After the page is shown, so that the first letters typed into the palette are not lost while it loads. */
const LOAD_MILLISECONDS = 2000;

const PLACES = [...PAGES, ["/shortcuts", "Shortcuts", "?"]] as const;

/** Listens to the keys of the whole page, and shows the palette when it is asked for. */
export function Commands() {
  const navigate = useNavigate();
  const [open, setOpen] = useState(false);
  const general = useMemo<readonly Command[]>(
    () => [
      ...PLACES.map(([to, title, keys]) => ({ title, group: "Go to", keys, run: () => void navigate({ to }) })),
      ...THEMES.map((theme) => ({ title: `Theme: ${theme}`, group: "Look", run: () => setTheme(theme) })),
    ],
    [navigate],
  );
  useCommands(general);
  const [Palette, setPalette] = useState<ComponentType<{ readonly onClose: () => void }> | null>(null);
  useEffect(() => {
    if (Palette !== null) return;
    // A server that is gone takes nothing along: the next attempt is when the palette is asked for.
    const load = () => import("./Palette").then((found) => setPalette(() => found.default)).catch(() => setOpen(false));
    const timer = setTimeout(() => void load(), open ? 0 : LOAD_MILLISECONDS);
    return () => clearTimeout(timer);
  }, [Palette, open]);
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
  return open && Palette !== null ? <Palette onClose={() => setOpen(false)} /> : null;
}
