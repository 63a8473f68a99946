/** Which page is at which address; what is in the address is checked here. */
import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from "@tanstack/react-router";
import { Shell } from "./app/Shell";
import { Empty } from "./components/ui/message";
import { ActivityPage } from "./features/activity/ActivityPage";
import { isGroup } from "./features/activity/kinds";
import type { Wanted } from "./features/activity/queries";
import { BoardPage } from "./features/board/BoardPage";
import { parseView } from "./features/board/view";
import { DevicesPage, isSpan, type Span } from "./features/devices/DevicesPage";
import { ExperimentsPage } from "./features/experiments/ExperimentsPage";
import { QueuePage } from "./features/queue/QueuePage";
import { RunPage } from "./features/run/RunPage";
import { runView } from "./features/run/view";
import { StoragePage } from "./features/storage/StoragePage";
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
  validateSearch: parseView,
});

const run = createRoute({
  getParentRoute: () => root,
  path: "/runs/$run",
  component: RunPage,
  validateSearch: runView,
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

const queue = createRoute({ getParentRoute: () => root, path: "/queue", component: QueuePage });

const devices = createRoute({
  getParentRoute: () => root,
  path: "/devices",
  component: DevicesPage,
  validateSearch: (found: Record<string, unknown>): { span?: Span } => (isSpan(found["span"]) ? { span: found["span"] } : {}),
});

const storage = createRoute({ getParentRoute: () => root, path: "/storage", component: StoragePage });

/** Text of an address, where a name may look like a number. */
const text = (found: unknown) => (typeof found === "string" || typeof found === "number" ? String(found) : undefined);

const activity = createRoute({
  getParentRoute: () => root,
  path: "/activity",
  component: ActivityPage,
  validateSearch: (found: Record<string, unknown>): Wanted => ({
    ...(isGroup(found["kind"]) && { kind: found["kind"] }),
    actor: text(found["actor"]),
    experiment: text(found["experiment"]),
    run: text(found["run"]),
  }),
});

const testing = createRoute({
  getParentRoute: () => root,
  path: "/testing",
  component: TestingPage,
  validateSearch: testingView,
});

const builder = createRoute({
  getParentRoute: () => root,
  path: "/new",
  component: lazyRouteComponent(() => import("./features/builder/BuilderPage"), "BuilderPage"),
  validateSearch: (found: Record<string, unknown>): { readonly from?: string } =>
    typeof found["from"] === "string" ? { from: found["from"] } : {},
});

const data = createRoute({
  getParentRoute: () => root,
  path: "/data",
  component: lazyRouteComponent(() => import("./features/data/DataPage"), "DataPage"),
  validateSearch: (found: Record<string, unknown>): { readonly inspection?: string } =>
    typeof found["inspection"] === "string" ? { inspection: found["inspection"] } : {},
});

export const router = createRouter({
  routeTree: root.addChildren([experiments, builder, board, run, testing, data, queue, devices, storage, activity, settings, shortcuts]),
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
