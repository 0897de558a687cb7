/** What the commands under `lockstep bench` read alike. */

import { ConfigError } from '../../shared/errors.js';

/** @throws ConfigError naming the flag */
export function wholeNumber(flag: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isInteger(value) && value >= least && value <= most) return value;
  throw new ConfigError(`${flag}: expected a whole number from ${least} to ${most}, got "${text}".`);
}
