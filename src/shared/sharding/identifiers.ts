/** Types of identifiers; docs/glossary.md defines the terms. Branded numbers can't be confused with each other. */

declare const brand: unique symbol;
type Branded<T, Name extends string> = T & { readonly [brand]: Name };

/** A worker's number from 0 to worldSize - 1; valid in one generation only. */
export type Rank = Branded<number, 'Rank'>;
/** Number of a set of members with their ranks and shards. Each change of this set increases the number. */
export type Generation = Branded<number, 'Generation'>;

export const asRank = (value: number): Rank => value as Rank;
export const asGeneration = (value: number): Generation => value as Generation;

/** Half-open range of shard ids, samples or elements. */
export interface Range {
  readonly start: number;
  readonly end: number;
}
