/** Reads the JSON schema of a sweep: what a field takes decides how the form shows it. */

export interface JsonSchema {
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, JsonSchema>>;
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly discriminator?: { readonly propertyName: string; readonly mapping: Readonly<Record<string, string>> };
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
}

/** The kinds that a part may be, by the value of the field that names them. */
export interface Union {
  readonly tag: string;
  readonly kinds: Readonly<Record<string, JsonSchema>>;
}

/** How a field is shown. */
export type Shape =
  | { readonly kind: "union"; readonly union: Union }
  | { readonly kind: "group"; readonly schema: JsonSchema; readonly optional: boolean }
  | { readonly kind: "parts"; readonly union: Union }
  | { readonly kind: "options"; readonly options: readonly unknown[] }
  | { readonly kind: "switch" }
  | { readonly kind: "number"; readonly whole: boolean }
  | { readonly kind: "list" }
  | { readonly kind: "text" }
  | { readonly kind: "any" };

export class Schema {
  constructor(readonly root: JsonSchema) {}

  resolve(schema: JsonSchema): JsonSchema {
    const name = schema.$ref?.replace("#/$defs/", "");
    const found = name === undefined ? undefined : this.root.$defs?.[name];
    if (found === undefined) return schema;
    const { $ref: _, ...own } = schema;
    return { ...this.resolve(found), ...own };
  }

  /** The field of an object's schema. */
  field(owner: JsonSchema, name: string): JsonSchema {
    return this.resolve(this.resolve(owner).properties?.[name] ?? {});
  }

  union(schema: JsonSchema): Union | null {
    const { discriminator } = schema;
    if (discriminator === undefined) return null;
    const kinds = Object.entries(discriminator.mapping).map(([name, $ref]) => [name, this.resolve({ $ref })] as const);
    return { tag: discriminator.propertyName, kinds: Object.fromEntries(kinds) };
  }

  shape(schema: JsonSchema): Shape {
    const options = schema.anyOf?.map((one) => this.resolve(one)) ?? [schema];
    const given = options.filter((one) => one.type !== "null");
    const only = given.length === 1 ? given[0] : undefined;
    if (only === undefined) return { kind: "any" };
    const union = this.union(only);
    if (union !== null) return { kind: "union", union };
    if (only.properties !== undefined)
      return { kind: "group", schema: only, optional: given.length < options.length };
    return this.value(only);
  }

  private value(schema: JsonSchema): Shape {
    const options = schema.enum ?? (schema.const === undefined ? undefined : [schema.const]);
    if (options !== undefined) return { kind: "options", options };
    if (schema.type === "array") {
      const union = schema.items === undefined ? null : this.union(schema.items);
      if (union !== null) return { kind: "parts", union };
      const item = schema.items === undefined ? undefined : this.resolve(schema.items);
      return { kind: item?.type === "object" ? "any" : "list" };
    }
    if (schema.type === "boolean") return { kind: "switch" };
    if (schema.type === "number" || schema.type === "integer")
      return { kind: "number", whole: schema.type === "integer" };
    return { kind: schema.type === "string" ? "text" : "any" };
  }
}

/** "above 0, below 1": what a number has to be. */
function range(schema: JsonSchema): string {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum } =
    schema.anyOf?.find((one) => one.type === "number" || one.type === "integer") ?? schema;
  const parts = [
    minimum !== undefined && `at least ${minimum}`,
    exclusiveMinimum !== undefined && `above ${exclusiveMinimum}`,
    maximum !== undefined && `at most ${maximum}`,
    exclusiveMaximum !== undefined && `below ${exclusiveMaximum}`,
  ];
  return parts.filter((part) => part !== false).join(", ");
}

/** A field's meaning, without the marks that documents set around names. */
export function meaning(schema: JsonSchema): string {
  const said = (schema.description ?? "").replaceAll("``", "").replaceAll("\n", " ");
  const limits = range(schema);
  return limits === "" ? said : `${said} (${limits})`;
}
