/** A configuration as a list of its fields. */

export type Leaf = string | number | boolean | null;

/** Returns the fields with their paths, e.g. `optimizer.learningRate`. A list counts as one value. */
export function flatten(value: object, prefix = ''): [path: string, value: Leaf][] {
  return Object.entries(value).flatMap(([name, field]: [string, unknown]): [string, Leaf][] => {
    const path = `${prefix}${name}`;
    if (Array.isArray(field)) return [[path, JSON.stringify(field)]];
    if (typeof field === 'object' && field !== null) return flatten(field, `${path}.`);
    return [[path, field as Leaf]];
  });
}
