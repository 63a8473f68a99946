import { expect, it } from "vitest";
import { Keys } from "./keys";
import { allCommands, type Command, offer } from "./registry";

const command = (keys?: string): Command => ({ title: keys ?? "none", group: "test", run: () => {}, ...(keys && { keys }) });
const commands = [command("g e"), command("g s"), command("p"), command()];
const press = (keys: Keys, text: string, step = 10) => {
  let found: Command | null = null;
  text.split(" ").forEach((key, index) => {
    found = keys.press(key, index * step);
  });
  return (found as Command | null)?.title ?? null;
};

it("takes keys one after the other", () => {
  expect(press(new Keys(() => commands), "p")).toBe("p");
  expect(press(new Keys(() => commands), "g s")).toBe("g s");
  expect(press(new Keys(() => commands), "g")).toBe(null);
});

it("forgets what leads nowhere, and what was pressed long ago", () => {
  expect(press(new Keys(() => commands), "g x p")).toBe("p");
  expect(press(new Keys(() => commands), "g g e")).toBe("g e");
  expect(press(new Keys(() => commands), "g e", 2000)).toBe(null);
});

it("has a command once for all who ask, and no longer than it is offered", () => {
  const before = allCommands().length;
  const end = offer(() => commands);
  expect(allCommands()).toHaveLength(before + 4);
  end();
  expect(allCommands()).toHaveLength(before);
});
