/** What the stream told of runs: it completes answers that were under way meanwhile and may be older. */
import type { Run } from "./api";

interface Told {
  readonly at: number;
  readonly change: Partial<Run>;
}

export class News {
  private readonly told = new Map<string, Told>();

  /** Times are those of ``performance.now()``. */
  tell(runId: string, change: Partial<Run>, at = performance.now()): void {
    this.told.set(runId, { at, change: { ...this.told.get(runId)?.change, ...change } });
  }

  /** Return a run that was asked for at ``begun`` as it is known to be now. */
  complete<Shown extends Run>(run: Shown, begun: number): Shown {
    const found = this.told.get(run.id);
    return found !== undefined && found.at >= begun ? { ...run, ...found.change } : run;
  }
}

export const news = new News();
