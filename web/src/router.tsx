/** Which page is at which address; what is in the address is checked here. */
import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from "@tanstack/react-router";
import { Shell } from "./app/Shell";
import { Empty } from "./components/ui/message";
import { BoardPage } from "./features/board/BoardPage";
import { parseView } from "./features/board/view";
import { ExperimentsPage } from "./features/experiments/ExperimentsPage";
import { isTab, RunPage, type RunTab } from "./features/run/RunPage";

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
  validateSearch: parseView,
});

const run = createRoute({
  getParentRoute: () => root,
  path: "/runs/$run",
  component: RunPage,
  validateSearch: (found: Record<string, unknown>): RunTab => (isTab(found["tab"]) ? { tab: found["tab"] } : {}),
});

const settings = createRoute({
  getParentRoute: () => root,
  path: "/settings",
  component: lazyRouteComponent(() => import("./features/settings/SettingsPage")),
});

const shortcuts = createRoute({
  getParentRoute: () => root,
  path: "/shortcuts",
  component: lazyRouteComponent(() => import("./features/commands/ShortcutsPage")),
});

export const router = createRouter({ routeTree: root.addChildren([experiments, board, run, settings, shortcuts]) });

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
