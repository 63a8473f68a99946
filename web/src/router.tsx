/** Which page is at which address; what is in the address is checked here. */
import { createRootRoute, createRoute, createRouter } from "@tanstack/react-router";
import { Shell } from "./app/Shell";
import { Empty } from "./components/ui/message";
import { BoardPage, type BoardView } from "./features/board/BoardPage";
import { ExperimentsPage } from "./features/experiments/ExperimentsPage";
import { RunPage } from "./features/run/RunPage";
import { runView } from "./features/run/view";
import { TestingPage, testingView } from "./features/testing/TestingPage";

const root = createRootRoute({
  component: Shell,
  notFoundComponent: () => (
    <div className="p-4">
      <Empty title="There is nothing at this address" />
    </div>
  ),
});

const experiments = createRoute({ getParentRoute: () => root, path: "/", component: ExperimentsPage });

const board = createRoute({
  getParentRoute: () => root,
  path: "/experiments/$experiment",
  component: BoardPage,
  validateSearch: (found: Record<string, unknown>): BoardView => ({
    ...(typeof found["sort"] === "string" && { sort: found["sort"] }),
    ...(typeof found["filter"] === "string" && { filter: found["filter"] }),
    ...(typeof found["smoothing"] === "number" && { smoothing: Math.min(0.99, Math.max(0, found["smoothing"])) }),
    ...(found["log"] === true && { log: true }),
  }),
});

const run = createRoute({
  getParentRoute: () => root,
  path: "/runs/$run",
  component: RunPage,
  validateSearch: runView,
});

const testing = createRoute({
  getParentRoute: () => root,
  path: "/testing",
  component: TestingPage,
  validateSearch: testingView,
});

export const router = createRouter({ routeTree: root.addChildren([experiments, board, run, testing]) });

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
