/** The client of the server's API; its types are generated from the server's own description. */
import createClient from "openapi-fetch";
import type { components, paths } from "./api.gen";

export type Schemas = components["schemas"];
export type Run = Schemas["RunView"];
export type RunDetail = Schemas["RunDetail"];
export type RunPage = Schemas["RunPage"];
export type RunState = Schemas["RunState"];
export type Experiment = Schemas["ExperimentView"];
export type Progress = Schemas["Progress"];
export type EventView = Schemas["EventView"];
export type LogLine = Schemas["LogLineView"];
export type Lines = Schemas["Lines"];
export type Hello = Schemas["Hello"];
export type Series = Schemas["SeriesView"];
export type Outcome = Schemas["OutcomeView"];
export type Session = Schemas["SessionView"];
export type AlertRule = Schemas["AlertRule"];
export type Role = Schemas["Role"];
export type Checkpoint = Schemas["CheckpointView"];
export type Confusion = Schemas["ConfusionView"];
export type Lineage = Schemas["LineageView"];
export type Relative = Schemas["Relative"];
export type Prediction = Schemas["PredictionView"];
export type FilePredictions = Schemas["FileView"];
export type Field = Schemas["FieldView"];
export type Effect = Schemas["EffectView"];
export type Search = Schemas["SearchView"];
export type Value = string | number | boolean | null;
export type Operation = Schemas["Request"]["op"];
/** States in which an engine has the run. */
export const ACTIVE: ReadonlySet<RunState> = new Set(["running", "pausing", "stopping"]);
type Problem = Schemas["Problem"];

export const client = createClient<paths>();

let csrf: string | null = null;

/** Send this with every change from now on: a server that users log in to wants it. */
export function sendCsrf(token: string | null): void {
  csrf = token;
}

client.use({
  onRequest({ request }) {
    if (csrf !== null) request.headers.set("x-csrf-token", csrf);
    return request;
  },
});

/** What the server said is wrong, or that it cannot be reached. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly problem: Problem | null,
  ) {
    super(problem?.detail ?? "the server cannot be reached");
  }
}

interface Answer<Data> {
  data?: Data;
  error?: unknown;
  response: Response;
}

/** Return the answer's data; throw what went wrong. */
export async function ask<Data>(answer: Promise<Answer<Data>>): Promise<Data> {
  let found: Answer<Data>;
  try {
    found = await answer;
  } catch {
    throw new ApiError(0, null);
  }
  if (!found.response.ok) throw new ApiError(found.response.status, (found.error as Problem | undefined) ?? null);
  return found.data as Data;
}
