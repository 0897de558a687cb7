/** The options of `train` and `coordinator` that set configuration fields, generated from the fields' metadata. */

import { InvalidArgumentError, Option, type Command } from 'commander';
import { configFields, type FieldDescription } from '../../shared/config/config-fields.js';
import { repeatable } from './repeatable.js';

export function addConfigOptions(command: Command): void {
  for (const field of configFields) {
    if (field.flag !== undefined) command.addOption(optionOf(field, field.flag));
  }
}

function optionOf(field: FieldDescription, flag: string): Option {
  const text = helpText(field);
  const option = field.name === 'set' ? repeatable(flag, text) : new Option(flag, text);
  option.helpGroup(`${field.group}:`);
  if (field.type === 'number') option.argParser(parseNumber);
  // Only for the help and for completion: the schema checks the value, so that one message lists every invalid field.
  if (field.choices) option.argChoices = [...field.choices];
  return option;
}

/** Returns the description with unit, default and environment variable, as `--help` prints it. */
function helpText({ name, description, unit, type, defaultText, environment }: FieldDescription): string {
  const facts = [
    ...(unit === undefined ? [] : [`unit: ${unit}`]),
    ...(type === 'boolean' || name === 'set' ? [] : [`default: ${defaultText}`]),
    ...(environment === undefined ? [] : [`env: ${environment}`]),
  ];
  return facts.length === 0 ? description : `${description} (${facts.join(', ')})`;
}

function parseNumber(value: string): number {
  const number = Number(value);
  if (value.trim() === '' || !Number.isFinite(number)) throw new InvalidArgumentError('expected a number.');
  return number;
}
