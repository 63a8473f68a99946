import { expect, it } from "vitest";
import type { FilePredictions } from "@/lib/api";
import { csv } from "./csv";

const row = (file: string, label: string | null, error: string | null = null): FilePredictions => ({
  file,
  restarted: false,
  predictions: [
    { model: "a", run: "rates-1", checkpoint_id: "c", step: 30, label, probabilities: label ? { [label]: 0.75 } : {}, input: null, saliency: null, error },
  ],
});

it("has a line for each file and model", () => {
  expect(csv([row("a.png", "cat")])).toBe("file,run,step,class,probability,error\r\na.png,rates-1,30,cat,0.75,\r\n");
});

it("quotes what needs quotes, and disarms formulas", () => {
  expect(csv([row('a,"b".png', null, "cannot read\nit")]).split("\r\n")[1]).toBe(
    '"a,""b"".png",rates-1,30,,,"cannot read\nit"',
  );
  expect(csv([row("=1+1.png", "-x")]).split("\r\n")[1]).toBe("'=1+1.png,rates-1,30,'-x,0.75,");
});
