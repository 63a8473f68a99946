/** Predictions as a CSV file (RFC 4180). */
import type { FilePredictions } from "@/lib/api";

export function csv(rows: readonly FilePredictions[]): string {
  const lines = rows.flatMap(({ file, predictions }) =>
    predictions.map((one) => {
      const probability = one.label === null ? "" : String(one.probabilities[one.label] ?? "");
      return [file, one.run, String(one.step), one.label ?? "", probability, one.error ?? ""];
    }),
  );
  return [["file", "run", "step", "class", "probability", "error"], ...lines]
    .map((cells) => `${cells.map(cell).join(",")}\r\n`)
    .join("");
}

/** A spreadsheet would take what begins like a formula for one. */
function cell(text: string): string {
  const safe = /^[=+@\t\r]|^-(?!\d)/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
