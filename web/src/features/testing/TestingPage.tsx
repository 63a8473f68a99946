import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { X } from "lucide-react";
import { useEffect, useId, useRef, useState } from "react";
import { Button } from "@/components/ui/button";
import { INPUT } from "@/components/ui/field";
import { runsQuery } from "@/lib/queries";
import { FolderTest } from "./FolderTest";
import { ImageCard } from "./ImageCard";
import type { Dropped } from "./queries";

const route = getRouteApi("/testing");
const MOST_MODELS = 8;

interface TestingView {
  /** RUN, RUN:last, RUN:best or RUN:STEP. */
  readonly models?: readonly string[] | undefined;
}

export function testingView(found: Record<string, unknown>): TestingView {
  const models = found["models"];
  return Array.isArray(models) ? { models: models.filter((one) => typeof one === "string").slice(0, MOST_MODELS) } : {};
}

/** Images, and what models say of them. */
export function TestingPage() {
  const { models = [] } = route.useSearch();
  const navigate = route.useNavigate();
  const choose = (next: readonly string[]) => void navigate({ search: { models: next }, replace: true });
  const [images, setImages] = useState<readonly Dropped[]>([]);
  const latest = useRef(images);
  latest.current = images;
  useEffect(() => () => latest.current.forEach((one) => URL.revokeObjectURL(one.url)), []);
  const add = (files: Iterable<File>) => {
    const made = [...files].map((file) => ({ id: nextId(), file, url: URL.createObjectURL(file) }));
    setImages((before) => [...made, ...before]);
  };
  const remove = (gone: Dropped) => {
    URL.revokeObjectURL(gone.url);
    setImages((before) => before.filter((one) => one !== gone));
  };
  return (
    <div className="flex flex-col gap-4 p-4">
      <h1 className="text-lg font-semibold">Testing</h1>
      <Models models={models} onChoose={choose} />
      <Drop onFiles={add} />
      {models.length === 0 && images.length > 0 && <p className="text-warn">Add a model to see what it says.</p>}
      <ul aria-label="Images" className="flex flex-col gap-3">
        {images.map((one) => (
          <ImageCard key={one.id} image={one} models={models} onRemove={() => remove(one)} />
        ))}
      </ul>
      <FolderTest models={models} />
    </div>
  );
}

let made = 0;
function nextId(): number {
  made += 1;
  return made;
}

function Models({ models, onChoose }: { readonly models: readonly string[]; readonly onChoose: (next: readonly string[]) => void }) {
  const { data } = useQuery(runsQuery({ columns: [] }));
  const [typed, setTyped] = useState("");
  const known = useId();
  const named = (model: string) => {
    const [ref, ...which] = model.split(":");
    return [data?.runs.find((run) => run.id === ref)?.name ?? ref, ...which].join(":");
  };
  return (
    <section className="flex flex-wrap items-center gap-2">
      <ul aria-label="Models" className="contents">
        {models.map((one) => (
          <li key={one} className="flex items-center gap-1 rounded border border-line bg-panel py-0.5 pr-1 pl-2">
            {named(one)}
            <button
              type="button"
              aria-label={`Remove ${named(one)}`}
              onClick={() => onChoose(models.filter((other) => other !== one))}
              className="rounded p-0.5 hover:bg-page"
            >
              <X size={14} aria-hidden />
            </button>
          </li>
        ))}
      </ul>
      <form
        className="flex gap-2"
        onSubmit={(event) => {
          event.preventDefault();
          const name = typed.trim();
          if (name !== "" && !models.includes(name)) onChoose([...models, name]);
          setTyped("");
        }}
      >
        <input
          aria-label="Model"
          list={known}
          placeholder="RUN, RUN:last or RUN:STEP"
          value={typed}
          onChange={(event) => setTyped(event.target.value)}
          className={`${INPUT} w-64`}
        />
        <datalist id={known}>
          {data?.runs.map((run) => (
            <option key={run.id} value={run.name} />
          ))}
        </datalist>
        <Button type="submit" disabled={models.length >= MOST_MODELS}>
          Add
        </Button>
      </form>
    </section>
  );
}

function Drop({ onFiles }: { readonly onFiles: (files: Iterable<File>) => void }) {
  const [over, setOver] = useState(false);
  return (
    <div
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        onFiles(event.dataTransfer.files);
      }}
      className={`rounded border border-dashed p-6 text-center text-dim ${over ? "border-accent" : "border-line"}`}
    >
      <label className="inline-flex flex-wrap items-center justify-center gap-2">
        Drop images here, or choose some
        <input
          type="file"
          accept="image/*"
          multiple
          className="max-w-60"
          onChange={(event) => {
            onFiles(event.target.files ?? []);
            event.target.value = "";
          }}
        />
      </label>
      <p className="text-xs">At most 8 MB each. They are decoded in memory and kept nowhere.</p>
    </div>
  );
}
