import { expect, it } from "vitest";
import { parse } from "./ansi";

const text = (line: string) => parse(line).map((one) => one.text).join("");

it("leaves text without escapes as it is, markup included", () => {
  expect(parse("<b>loss</b> & 0.5\tend")).toEqual([{ text: "<b>loss</b> & 0.5\tend", style: {} }]);
  expect(parse("")).toEqual([]);
});

it("colours what is between a colour and a reset", () => {
  const [plain, red, after] = parse("a \x1b[1;31merror\x1b[0m b");
  expect(plain).toEqual({ text: "a ", style: {} });
  expect(red).toEqual({ text: "error", style: { bold: true, colour: "oklch(var(--line-lightness) 0.15 25)" } });
  expect(after).toEqual({ text: " b", style: {} });
});

it("takes an empty sequence for a reset, and ends single attributes", () => {
  expect(parse("\x1b[4;3mx\x1b[my")[1]).toEqual({ text: "y", style: {} });
  expect(parse("\x1b[1;32mx\x1b[39my\x1b[22mz").map((one) => one.style)).toEqual([
    { bold: true, colour: "oklch(var(--line-lightness) 0.15 145)" },
    { bold: true },
    { bold: false, faint: false },
  ]);
});

it("knows 256 colours and true colour", () => {
  expect(parse("\x1b[38;5;196mx")[0]?.style.colour).toBe("oklch(from rgb(255 0 0) var(--line-lightness) c h)");
  expect(parse("\x1b[38;2;1;2;3;1mx")[0]?.style).toEqual({
    bold: true,
    colour: "oklch(from rgb(1 2 3) var(--line-lightness) c h)",
  });
  expect(parse("\x1b[48;5;2mx")[0]?.style.background).toBe("oklch(var(--line-lightness) 0.15 145)");
  expect(parse("\x1b[38;2;1;999;3mx")[0]?.style).toEqual({});
  expect(parse("\x1b[38;5;1mx")[0]?.style.colour).toBe("oklch(var(--line-lightness) 0.15 90)".replace("90", "25"));
});

it("does nothing by any other escape, and shows none", () => {
  expect(text("\x1b[2J\x1b[10;5Hcleared\x1b[K")).toBe("cleared");
  expect(text("\x1b]0;title\x07named")).toBe("named");
  expect(text("\x1b]8;;javascript:alert(1)\x1b\\link\x1b]8;;\x1b\\")).toBe("link");
  expect(text("a\x07b\x08c\x1b")).toBe("abc");
  expect(text("\x1b(Bascii \x1b7saved")).toBe("ascii saved");
  expect(parse("\x1b[?31mx")[0]?.style).toEqual({});
  expect(text("unfinished \x1b[31")).toBe("unfinished 31");
});
