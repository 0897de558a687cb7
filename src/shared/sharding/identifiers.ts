/**
 * The project's words as types; docs/architecture.md defines them. Branded numbers can't be mixed up by accident:
 * a rank is valid inside one generation only, a shard id in the whole run.
 */

declare const brand: unique symbol;
type Branded<T, Name extends string> = T & { readonly [brand]: Name };

/** A worker's number inside one generation, 0..worldSize-1. */
export type Rank = Branded<number, 'Rank'>;
/** One agreed membership. Grows by one each time the membership changes. */
export type Generation = Branded<number, 'Generation'>;

export const asRank = (value: number): Rank => value as Rank;
export const asGeneration = (value: number): Generation => value as Generation;

/** Half-open range of shard ids, or of samples or elements. */
export interface Range {
  readonly start: number;
  readonly end: number;
}
