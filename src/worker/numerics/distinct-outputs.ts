/** Counts how many different outputs the calls of an operation gave, and how many of the calls gave NaN or infinity. */

import { createHash } from 'node:crypto';

export type Values = Float32Array | Float64Array | Int32Array | Uint8Array;

export class DistinctOutputs {
  /** By the hash of the output's bytes, whether the output is finite. */
  readonly #finite = new Map<string, boolean>();
  /** Copies of the bytes of the first output. */
  #first: readonly Buffer[] | undefined;
  #firstHash = '';
  #nonFinite = 0;

  get distinct(): number {
    return this.#finite.size;
  }

  get nonFinite(): number {
    return this.#nonFinite;
  }

  /** Adds the output of one call; `parts` are read before this returns. */
  add(parts: readonly Values[]): void {
    const bytes = parts.map(({ buffer, byteOffset, byteLength }) =>
      Buffer.from(buffer, byteOffset, byteLength),
    );
    const hash = this.#isFirst(bytes) ? this.#firstHash : hashOf(bytes);
    let finite = this.#finite.get(hash);
    if (finite === undefined) this.#finite.set(hash, (finite = parts.every(isFinite)));
    if (!finite) this.#nonFinite++;
    if (this.#first) return;
    this.#first = bytes.map((part) => Buffer.from(part));
    this.#firstHash = hash;
  }

  #isFirst(bytes: readonly Buffer[]): boolean {
    return this.#first?.every((part, i) => bytes[i]?.equals(part)) ?? false;
  }
}

function hashOf(bytes: readonly Buffer[]): string {
  const hash = createHash('sha256');
  for (const part of bytes) hash.update(part);
  return hash.digest('hex');
}

function isFinite(values: Values): boolean {
  return values instanceof Int32Array || values instanceof Uint8Array || values.every(Number.isFinite);
}
