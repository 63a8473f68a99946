/** Colours of a terminal in a line of text: SGR sequences become styles, every other escape becomes nothing. */

export interface Style {
  readonly bold?: boolean;
  readonly faint?: boolean;
  readonly italic?: boolean;
  readonly underline?: boolean;
  readonly struck?: boolean;
  /** A CSS colour; the theme decides how light it is. */
  readonly colour?: string;
  readonly background?: string;
}

interface Segment {
  readonly text: string;
  readonly style: Style;
}

// CSI, then strings that end with BEL or ST (titles, links), then two-character escapes, then single controls.
const ESCAPES = /\x1b\[([0-9;:?<=>]*)[ -/]*([@-~])|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\|$)|\x1b[ -/]*[0-~]?|[\x00-\x08\x0b-\x1f\x7f]/g;

/** Red, green, yellow, blue, magenta, cyan: angles of OKLCH, whose lightness the theme sets. */
const HUES = [25, 145, 90, 255, 325, 195];
const LEVELS = [0, 95, 135, 175, 215, 255];

export function parse(line: string): Segment[] {
  const found: Segment[] = [];
  let style: Style = {};
  let end = 0;
  const say = (text: string) => {
    const last = found.at(-1);
    if (text === "") return;
    if (last?.style === style) found[found.length - 1] = { text: last.text + text, style };
    else found.push({ text, style });
  };
  for (const match of line.matchAll(ESCAPES)) {
    say(line.slice(end, match.index));
    end = match.index + match[0].length;
    if (match[2] === "m" && /^[\d;]*$/.test(match[1] ?? "")) style = applied(style, (match[1] ?? "").split(";").map(Number));
  }
  say(line.slice(end));
  return found;
}

/** Return a style with the codes of one sequence on top; codes that are not known change nothing. */
function applied(before: Style, codes: readonly number[]): Style {
  let style = before;
  const rest = [...codes];
  while (rest.length > 0) {
    const code = rest.shift() as number;
    if (code === 38 || code === 48) style = with_(style, code === 38 ? "colour" : "background", wide(rest));
    else style = simple(style, code);
  }
  return style;
}

function simple(style: Style, code: number): Style {
  if (code === 0) return {};
  if (code === 1) return { ...style, bold: true };
  if (code === 2) return { ...style, faint: true };
  if (code === 3) return { ...style, italic: true };
  if (code === 4) return { ...style, underline: true };
  if (code === 9) return { ...style, struck: true };
  if (code === 22) return { ...style, bold: false, faint: false };
  if (code === 23) return { ...style, italic: false };
  if (code === 24) return { ...style, underline: false };
  if (code === 29) return { ...style, struck: false };
  if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) return with_(style, "colour", named(code % 10));
  if (code === 39) return with_(style, "colour", undefined);
  if ((code >= 40 && code <= 47) || (code >= 100 && code <= 107)) return with_(style, "background", named(code % 10));
  if (code === 49) return with_(style, "background", undefined);
  return style;
}

function with_(style: Style, which: "colour" | "background", colour: string | undefined): Style {
  const { [which]: _, ...rest } = style;
  return colour === undefined ? rest : { ...rest, [which]: colour };
}

/** Black and white are the text's own colour: on some theme either could not be read. */
function named(number: number): string | undefined {
  const hue = HUES[number - 1];
  return hue === undefined ? undefined : `oklch(var(--line-lightness) 0.15 ${hue})`;
}

/** Take what follows 38 or 48: ``5;N`` is one of 256 colours, ``2;R;G;B`` any. */
function wide(rest: number[]): string | undefined {
  const kind = rest.shift();
  if (kind === 2) return mixed(rest.splice(0, 3));
  if (kind !== 5) return undefined;
  const number = rest.shift() ?? 0;
  if (number < 16) return named(number % 8);
  if (number >= 232) return undefined;
  const cube = number - 16;
  return mixed([Math.floor(cube / 36), Math.floor(cube / 6) % 6, cube % 6].map((level) => LEVELS[level] ?? 0));
}

function mixed(parts: readonly number[]): string | undefined {
  const whole = parts.length === 3 && parts.every((part) => part >= 0 && part <= 255);
  return whole ? `oklch(from rgb(${parts.join(" ")}) var(--line-lightness) c h)` : undefined;
}
