/** Refuses options that a data source does not have, since a definition in JavaScript is not type-checked. */

import { ConfigError } from '../../shared/errors.js';

/** @throws ConfigError naming the first unknown option, or an option of another type than an object */
export function checkOptionNames(source: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    const found = Array.isArray(options) ? 'a list' : options === null ? 'null' : typeof options;
    throw new ConfigError(`${source}: expected an object of options, got ${found}.`);
  }
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  throw new ConfigError(
    `${source}: expected options among ${known.join(', ')}, got "${unknown}". Correct its name, or leave it out.`,
    { field: unknown },
  );
}

/** @throws ConfigError unless `value` is an integer from `min` to `max` */
export function checkInteger(
  name: string,
  value: unknown,
  { min, max = 2 ** 31 }: { readonly min: number; readonly max?: number },
): void {
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return;
  throw new ConfigError(`${name}: expected an integer from ${min} to ${max}, got ${show(value)}.`, {
    field: name,
  });
}

/** @throws ConfigError unless both numbers are finite and the standard deviation is positive */
export function checkNormalization(source: string, normalize: { mean: number; std: number }): void {
  checkOptionNames(`${source}: normalize`, normalize, ['mean', 'std']);
  const { mean, std } = normalize;
  if (Number.isFinite(mean) && Number.isFinite(std) && std > 0) return;
  throw new ConfigError(
    `${source}: normalize: expected a finite mean and a std above 0, got mean ${show(mean)} and std ${show(std)}.`,
  );
}

/** Describes a value with its type, for messages. */
export function show(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value === 'string') return `the text "${value.length > 60 ? `${value.slice(0, 60)}…` : value}"`;
  if (typeof value === 'number' || value === undefined) return String(value);
  if (typeof value === 'boolean' || typeof value === 'bigint') return `${value} (${typeof value})`;
  if (Array.isArray(value)) return `a list of ${value.length}`;
  return value instanceof Promise ? 'a promise' : `a value of type ${typeof value}`;
}
