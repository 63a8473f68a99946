import { useQuery } from "@tanstack/react-query";
import { X } from "lucide-react";
import { Failure } from "@/components/ui/message";
import type { Prediction } from "@/lib/api";
import { number } from "@/lib/format";
import { type Dropped, predictionsQuery } from "./queries";

interface Options {
  readonly image: Dropped;
  readonly models: readonly string[];
  readonly onRemove: () => void;
}

/** One image, and what each model says of it. */
export function ImageCard({ image, models, onRemove }: Options) {
  const { data, error, isFetching } = useQuery(predictionsQuery(image, models));
  return (
    <li className="flex flex-wrap gap-4 border border-line bg-panel p-3">
      <figure className="w-36">
        <img src={image.url} alt={image.file.name} className="aspect-square w-full bg-page object-contain" />
        <figcaption className="mt-1 flex items-start gap-1 text-xs break-all">
          {image.file.name}
          <button type="button" aria-label={`Remove ${image.file.name}`} onClick={onRemove} className="ml-auto rounded p-0.5 hover:bg-page">
            <X size={14} aria-hidden />
          </button>
        </figcaption>
      </figure>
      {error !== null && <Failure error={error} />}
      {isFetching && <p aria-live="polite" className="text-dim">Predicting; a model that is not in memory is loaded first.</p>}
      {data?.restarted && <p aria-live="polite" className="w-full text-warn">The process that predicts had ended; another one was started.</p>}
      {data?.predictions.map((one) => (
        <Said key={one.model} prediction={one} />
      ))}
    </li>
  );
}

function Said({ prediction: { run, step, label, probabilities, input, saliency, error } }: { readonly prediction: Prediction }) {
  const ranked = Object.entries(probabilities).sort(([, a], [, b]) => b - a); // names that are numbers come in their own order
  return (
    <section aria-label={`${run} at step ${step}`} className="w-72 max-w-full">
      <h2 className="mb-1 font-medium">
        {run} <span className="font-normal text-dim">step {number(step)}</span>
      </h2>
      {error && <Failure error={new Error(error)} />}
      <ol aria-label="Classes">
        {ranked.map(([name, share]) => (
          <li key={name} className="relative mb-0.5 flex justify-between px-1.5">
            <span aria-hidden className="absolute inset-y-0 left-0 bg-accent/25" style={{ width: `${share * 100}%` }} />
            <span className={`relative ${name === label ? "font-semibold" : ""}`}>{name}</span>
            <span className="tabular relative">{(share * 100).toFixed(1)}%</span>
          </li>
        ))}
      </ol>
      {input && saliency && (
        <div className="mt-2 flex gap-2">
          <Picture data={input} about="As the model sees it" />
          <Picture data={saliency} about={`Pixels that move ${label}`} />
        </div>
      )}
    </section>
  );
}

function Picture({ data, about }: { readonly data: string; readonly about: string }) {
  return (
    <figure className="w-1/2">
      <img
        src={`data:image/png;base64,${data}`}
        alt={about}
        className="aspect-square w-full bg-page object-contain [image-rendering:pixelated]"
      />
      <figcaption className="text-xs text-dim">{about}</figcaption>
    </figure>
  );
}
