import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Button } from "@/components/ui/button";
import { Window } from "@/components/ui/dialog";
import { Input } from "@/components/ui/field";
import { Failure } from "@/components/ui/message";
import { ask, client } from "@/lib/api";
import { viewsQuery } from "./queries";
import { type BoardView, parseView } from "./view";

interface Options {
  readonly project: string;
  readonly view: BoardView;
  readonly open: boolean;
  readonly onOpen: (open: boolean) => void;
  readonly onLoad: (view: BoardView) => void;
}

/** What the address says now, kept under a name for all boards of a project. */
export default function ViewsDialog({ project, view, open, onOpen, onLoad }: Options) {
  const { data, error } = useQuery(viewsQuery(project));
  const [name, setName] = useState("");
  const save = useMutation({
    mutationFn: (as: string) =>
      ask(client.PUT("/api/v1/projects/{project}/views/{name}", { params: { path: { project, name: as } }, body: { search: { ...view } } })),
    onSuccess: () => setName(""),
  });
  const remove = useMutation({
    mutationFn: (doomed: string) =>
      ask(client.DELETE("/api/v1/projects/{project}/views/{name}", { params: { path: { project, name: doomed } } })),
  });
  const failure = error ?? save.error ?? remove.error;
  const now = same(view);
  return (
    <Window
      title="Views"
      about={`Columns, order, filter, axes and groups under a name, for every experiment of project ${project}, in every browser.`}
      open={open}
      onOpen={onOpen}
    >
      {failure !== null && <Failure error={failure} />}
      <ul aria-label="Saved views" className="overflow-auto border border-line">
        {data?.length === 0 && <li className="px-3 py-2 text-dim">No view is saved yet.</li>}
        {data?.map((one) => (
          <li key={one.name} className="flex flex-wrap items-center gap-2 border-b border-line px-3 py-1 last:border-0">
            <span className="min-w-0 flex-1 truncate">
              {one.name}
              {same(parseView(one.search)) === now && <span className="text-dim"> (shown now)</span>}
            </span>
            <span className="text-dim">{one.saved_by}</span>
            <Button
              aria-label={`Load ${one.name}`}
              onClick={() => {
                onLoad(parseView(one.search));
                onOpen(false);
              }}
            >
              Load
            </Button>
            <Button aria-label={`Overwrite ${one.name}`} onClick={() => save.mutate(one.name)}>
              Overwrite
            </Button>
            <Button look="danger" aria-label={`Delete ${one.name}`} onClick={() => remove.mutate(one.name)}>
              Delete
            </Button>
          </li>
        ))}
      </ul>
      <form
        className="flex gap-2"
        onSubmit={(event) => {
          event.preventDefault();
          save.mutate(name.trim());
        }}
      >
        <Input aria-label="Name of the view" placeholder="name of the view that is shown now" maxLength={80} value={name} onChange={(event) => setName(event.target.value)} />
        <Button type="submit" look="primary" disabled={name.trim() === "" || data?.some((one) => one.name === name.trim()) === true}>
          Save
        </Button>
      </form>
    </Window>
  );
}

function same(view: BoardView): string {
  return JSON.stringify(Object.entries(view).sort(([a], [b]) => a.localeCompare(b)));
}
