/** Parses the values of options that are not configuration fields. */

import { ConfigError } from '../../shared/errors.js';

/** @throws ConfigError naming the flag */
export function wholeNumber(flag: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isInteger(value) && value >= least && value <= most) return value;
  throw new ConfigError(`${flag}: expected a whole number from ${least} to ${most}, got "${text}".`);
}

/** @throws ConfigError naming the flag */
export function numberFrom(flag: string, text: string, least: number): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value) && value >= least) return value;
  throw new ConfigError(`${flag}: expected a number of at least ${least}, got "${text}".`);
}

/** Parses a comma-separated list of known names. @throws ConfigError naming the flag */
export function listOfNames<T extends string>(flag: string, text: string, known: readonly T[]): T[] {
  return text.split(',').map((name) => {
    const found = known.find((one) => one === name.trim());
    if (found !== undefined) return found;
    throw new ConfigError(`${flag}: expected one or more of ${known.join(', ')}, got "${name}".`);
  });
}
