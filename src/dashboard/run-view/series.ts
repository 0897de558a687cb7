/**
 * Values over the steps of a run in bounded memory: when there are too many points, neighbouring points are merged in pairs. Each
 * column states how: by mean, harmonic mean (for rates), minimum, maximum or last value.
 */

export type Reduction = 'mean' | 'harmonicMean' | 'min' | 'max' | 'last';

interface Column {
  readonly reduction: Reduction;
  values: number[];
}

/** Columns of equal length; `x` is the last step (or moment) of each point. NaN and the infinities are null. */
export interface SeriesPart {
  /** Index from which the part replaces all points. */
  readonly from: number;
  readonly x: readonly number[];
  readonly columns: Readonly<Record<string, readonly (number | null)[]>>;
  /** Cursor for later changes. */
  readonly cursor: SeriesCursor;
}

export interface SeriesCursor {
  readonly revision: number;
  readonly length: number;
}

export class Series<Name extends string> {
  readonly #columns: [Name, Column][];
  readonly #capacity: number;
  #x: number[] = [];
  /** Number of original points per point, and in the last point. */
  #stride = 1;
  #inLast = 0;
  /** Version, increased when earlier points change. */
  #revision = 0;

  /** @param capacity maximum number of points; even */
  constructor(columns: Readonly<Record<Name, Reduction>>, capacity = 4096) {
    this.#columns = (Object.entries(columns) as [Name, Reduction][]).map(([name, reduction]) => [
      name,
      { reduction, values: [] },
    ]);
    this.#capacity = capacity;
  }

  get length(): number {
    return this.#x.length;
  }

  /** Returns a cursor for changes from now on. */
  get cursor(): SeriesCursor {
    return { revision: this.#revision, length: this.#x.length };
  }

  append(x: number, values: Readonly<Record<Name, number>>): void {
    if (this.#inLast === this.#stride || this.#x.length === 0) {
      if (this.#x.length === this.#capacity) this.#halve();
    }
    if (this.#inLast < this.#stride && this.#x.length > 0) {
      const last = this.#x.length - 1;
      this.#x[last] = x;
      for (const [name, { reduction, values: held }] of this.#columns)
        held[last] = merge(reduction, held[last] ?? 0, this.#inLast, values[name], 1);
      this.#inLast++;
      return;
    }
    this.#x.push(x);
    for (const [name, { values: held }] of this.#columns) held.push(values[name]);
    this.#inLast = 1;
  }

  /**
   * Adds a point at any position, in the order of `x`. At the position of another point it replaces that point, unless points have been
   * merged: then it is merged into the point that contains its position.
   */
  insert(x: number, values: Readonly<Record<Name, number>>): void {
    const at = this.#x.findIndex((held) => held >= x);
    if (at < 0) {
      this.append(x, values);
      return;
    }
    this.#revision++;
    if (this.#stride > 1) {
      const weight = at === this.#x.length - 1 ? this.#inLast : this.#stride;
      for (const [name, { reduction, values: held }] of this.#columns)
        if (reduction !== 'last') held[at] = merge(reduction, held[at] ?? 0, weight, values[name], 1);
    } else if (this.#x[at] === x) {
      for (const [name, { values: held }] of this.#columns) held[at] = values[name];
    } else if (this.#x.length === this.#capacity) {
      this.#halve();
      this.insert(x, values);
    } else {
      this.#x.splice(at, 0, x);
      for (const [name, { values: held }] of this.#columns) held.splice(at, 0, values[name]);
    }
  }

  /** Removes points after `x`, to which the run went back. */
  truncate(x: number): void {
    const kept = this.#x.findIndex((held) => held > x);
    if (kept < 0) return;
    this.#x.length = kept;
    for (const [, column] of this.#columns) column.values.length = kept;
    this.#inLast = kept === 0 ? 0 : this.#stride;
    this.#revision++;
  }

  /** Returns the changes since `cursor`; everything without one. */
  since(cursor?: SeriesCursor): SeriesPart {
    const same = cursor?.revision === this.#revision;
    // The last point may have changed.
    const from = same ? Math.max(0, Math.min(cursor.length, this.#x.length) - 1) : 0;
    const columns = this.#columns.map(([name, { values }]) => [name, values.slice(from).map(rounded)]);
    return {
      from,
      x: this.#x.slice(from),
      columns: Object.fromEntries(columns) as SeriesPart['columns'],
      cursor: this.cursor,
    };
  }

  #halve(): void {
    const half = this.#x.length >> 1;
    this.#x = Array.from({ length: half }, (_, i) => this.#x[2 * i + 1] ?? 0);
    for (const [, column] of this.#columns) {
      const { reduction, values } = column;
      column.values = Array.from({ length: half }, (_, i) =>
        merge(reduction, values[2 * i] ?? 0, 1, values[2 * i + 1] ?? 0, 1),
      );
    }
    this.#stride *= 2;
    this.#inLast = this.#stride;
    this.#revision++;
  }
}

function merge(reduction: Reduction, a: number, aWeight: number, b: number, bWeight: number): number {
  switch (reduction) {
    case 'mean':
      return (a * aWeight + b * bWeight) / (aWeight + bWeight);
    case 'harmonicMean':
      // Times per sample add up, rates do not.
      return (aWeight + bWeight) / (aWeight / a + bWeight / b);
    case 'min':
      return Math.min(a, b);
    case 'max':
      return Math.max(a, b);
    case 'last':
      return b;
  }
}

/** Rounds to the precision of a chart. */
function rounded(value: number): number | null {
  return Number.isFinite(value) ? Number(value.toPrecision(6)) : null;
}
