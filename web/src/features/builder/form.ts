/** What every field of the form needs: the schema, the values, the mistakes, and how to change something. */
import { createContext, useContext } from "react";
import type { components } from "@/lib/api.gen";
import { get, isValues, type Path, type Values } from "./document";
import type { Drafting, Mistake } from "./draft";
import type { Schema } from "./schema";

export type SweepSchema = components["schemas"]["SchemaView"];

interface Form {
  readonly schema: Schema;
  readonly about: SweepSchema;
  readonly document: Values;
  readonly mistakes: readonly Mistake[];
  readonly edit: Drafting["edit"];
  /** Whether the meaning of every field is shown. */
  readonly explain: boolean;
}

const FormContext = createContext<Form | null>(null);
export const FormProvider = FormContext.Provider;

export function useForm(): Form {
  const form = useContext(FormContext);
  if (form === null) throw new Error("a field outside of a form");
  return form;
}

export const SPACE: Path = ["search", "space"];

/** Which field of the base run is at a path, as the search calls it; null outside of the run. */
export function searched(path: Path): string | null {
  return path[0] === "run" && path.length > 1 ? path.slice(1).join(".") : null;
}

/** The values that the search gives a field, if it does. */
export function dimension(document: Values, name: string): Values | null {
  const found = get(document, [...SPACE, name]);
  return isValues(found) ? found : null;
}

/** Mistakes in a field itself, or, with ``below``, in anything that it holds. */
export function mistakesAt(mistakes: readonly Mistake[], path: Path, below: boolean): readonly Mistake[] {
  const name = path.join(".");
  return mistakes.filter(({ field }) => field === name || (below && field.startsWith(`${name}.`)));
}
