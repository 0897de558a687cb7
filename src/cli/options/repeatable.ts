/** Options that may be given several times. */

import { Option } from 'commander';

/** The value of the option is the list of all its values. */
export const repeatable = (flags: string, description: string): Option =>
  new Option(flags, description).argParser((value: string, before: readonly string[] | undefined) => [
    ...(before ?? []),
    value,
  ]);
