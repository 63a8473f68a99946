/** Light, dark, or as the system has it; kept in this browser. */
import { useSyncExternalStore } from "react";

export const THEMES = ["system", "light", "dark", "contrast"] as const;
type Theme = (typeof THEMES)[number];
const KEY = "modelyard.theme";
const listeners = new Set<() => void>();

function read(): Theme {
  const kept = localStorage.getItem(KEY);
  return THEMES.find((theme) => theme === kept) ?? "system";
}

function apply(): void {
  const theme = read();
  const dark = theme === "dark" || (theme === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset["theme"] = theme === "contrast" ? "contrast" : dark ? "dark" : "light";
  for (const listener of listeners) listener();
}

export function startTheme(): void {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
  apply();
}

export function setTheme(theme: Theme): void {
  localStorage.setItem(KEY, theme);
  apply();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useTheme(): Theme {
  return useSyncExternalStore(subscribe, read);
}

/** What is drawn with, now: charts read it when it changes. */
export function usePaint(): string {
  return useSyncExternalStore(subscribe, () => document.documentElement.dataset["theme"] ?? "light");
}
