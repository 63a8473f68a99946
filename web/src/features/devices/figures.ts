/** What can be read of a device, and how it is written. */
import { bytes, number } from "@/lib/format";

export type Figure = "utilisation" | "memory_used" | "temperature" | "power";

export const FIGURES: readonly Figure[] = ["utilisation", "memory_used", "temperature", "power"];

export const TITLES: Record<Figure, string> = {
  utilisation: "Utilisation",
  memory_used: "Memory used",
  temperature: "Temperature",
  power: "Power",
};

export function worded(figure: Figure, value: number): string {
  switch (figure) {
    case "utilisation":
      return `${Math.round(value * 100)} %`;
    case "memory_used":
      return bytes(value);
    case "temperature":
      return `${number(Math.round(value))} °C`;
    case "power":
      return `${number(Math.round(value))} W`;
  }
}
