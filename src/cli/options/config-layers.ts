/** Values of configuration fields that come from the environment and from the command line, each with its source. */

import { parseAssignment } from '../../shared/config/assignments.js';
import { configFields, type FieldDescription } from '../../shared/config/config-fields.js';
import { ConfigError } from '../../shared/errors.js';
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

/**
 * Returns one layer per option that is given, as parsed by commander.
 * @throws ConfigError if `--set` names no field, has a value of another type, or sets a field twice
 */
export function flagLayers(flags: Readonly<Record<string, unknown>>): ConfigLayer[] {
  const layers = configFields.flatMap(({ name, flag }) => {
    const value = flags[name];
    if (flag === undefined || value === undefined || name === 'set') return [];
    return [{ source: flag.split(' ')[0] ?? flag, values: { [name]: value } }];
  });
  const { set } = flags;
  return Array.isArray(set) ? [...layers, setLayer(set as readonly string[], layers)] : layers;
}

function setLayer(texts: readonly string[], layers: readonly ConfigLayer[]): ConfigLayer {
  const set: Record<string, unknown> = {};
  for (const text of texts) {
    const { path, value } = parseAssignment(text);
    const field = path.join('.');
    const [first = ''] = path;
    const option = layers.find(({ values }) => first in values);
    const other = Object.keys(set).find(
      (one) => one === field || `${one}.`.startsWith(`${field}.`) || `${field}.`.startsWith(`${one}.`),
    );
    if (option !== undefined || other !== undefined) {
      throw new ConfigError(
        `--set ${field}: expected each field once, got it also from ${option?.source ?? `--set ${other ?? ''}`}. Leave one of them out.`,
      );
    }
    set[field] = value;
  }
  return { source: '--set', values: { set } };
}
