import { useQuery } from "@tanstack/react-query";
import { Button } from "@/components/ui/button";
import { INPUT } from "@/components/ui/field";
import { experimentsQuery } from "@/lib/queries";
import { presetsQuery } from "./queries";

interface Options {
  /** What was there before another sweep was taken. */
  readonly before: string | null;
  readonly onText: (text: string) => void;
  readonly onExperiment: (id: string) => void;
}

/** Sweeps to start from: presets, and those of experiments. */
export function StartMenu({ before, onText, onExperiment }: Options) {
  const { data: presets } = useQuery(presetsQuery());
  const { data: experiments } = useQuery(experimentsQuery());
  const start = (chosen: string) => {
    const preset = presets?.find((one) => one.name === chosen);
    if (preset === undefined) onExperiment(chosen);
    else onText(preset.text);
  };
  return (
    <div className="flex flex-wrap items-center gap-2">
      <select
        aria-label="Start from"
        className={`${INPUT} max-w-full`}
        value=""
        onChange={(event) => start(event.target.value)}
      >
        <option value="">Start from</option>
        <optgroup label="Presets">
          {presets?.map((one) => (
            <option key={one.name} value={one.name}>
              {one.title}
            </option>
          ))}
        </optgroup>
        {experiments !== undefined && experiments.length > 0 && (
          <optgroup label="Experiments">
            {experiments.map((one) => (
              <option key={one.id} value={one.id}>
                {one.name}
              </option>
            ))}
          </optgroup>
        )}
      </select>
      {before !== null && <Button onClick={() => onText(before)}>Back to what was here</Button>}
    </div>
  );
}
