/** Values of configuration fields that come from the environment and from the command line, each with its source. */

import { configFields, type FieldDescription } from '../../shared/config/config-fields.js';
import { environmentVariable } from '../environment/environment.js';
import type { ConfigLayer } from './resolve.js';

/** Returns one layer per environment variable that is set. The command line takes precedence over them. */
export function environmentLayers(): ConfigLayer[] {
  return configFields.flatMap((field) => {
    const value = field.environment === undefined ? undefined : environmentVariable(field.environment);
    if (field.environment === undefined || value === undefined) return [];
    return [{ source: field.environment, values: { [field.name]: convert(field, value) } }];
  });
}

/** Converts the text of a number or of a switch; the schema reports a text that is neither. */
function convert({ type }: FieldDescription, value: string): string | number | boolean {
  if (type === 'boolean' && (value === 'true' || value === 'false')) return value === 'true';
  return type === 'number' && Number.isFinite(Number(value)) ? Number(value) : value;
}

/** Returns one layer per option that is given, as parsed by commander. */
export function flagLayers(flags: Readonly<Record<string, unknown>>): ConfigLayer[] {
  return configFields.flatMap(({ name, flag }) => {
    const value = flags[name];
    if (flag === undefined || value === undefined) return [];
    return [{ source: flag.split(' ')[0] ?? flag, values: { [name]: value } }];
  });
}
