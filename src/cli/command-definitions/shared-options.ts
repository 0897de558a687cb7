/** Options and help texts that several command definitions share. */

import { Option } from 'commander';
import { configFields, type FieldDescription } from '../../shared/config/config-fields.js';
import type { ConfigField } from '../../shared/config/run-config.js';
import { InvariantError } from '../../shared/errors.js';

/** The hidden option that the launcher passes to its child processes. */
export const launchedOption = (): Option => new Option('--launched').hideHelp();

/** The option of the commands that a supervisor runs. */
export const healthOption = (): Option =>
  new Option(
    '--health <address>',
    'address of /healthz and /readyz for the probes of a supervisor; a port on loopback, or HOST:PORT, e.g. 0.0.0.0:8086 in a pod',
  );

/** The option that names the training definition, for commands that open a saved model. */
export const definitionOption = (): Option =>
  new Option('--config <file>', 'training definition (default: the copy of it in the run, if it is needed)');

/** An option with the flag, the description and the choices of a configuration field, and its own default. */
export function fieldOption(name: ConfigField, defaultValue?: string): Option {
  const { flag, description, choices } = fieldOf(name);
  const option = new Option(flag, description);
  if (defaultValue !== undefined) option.default(defaultValue);
  if (choices) option.argChoices = [...choices];
  return option;
}

function fieldOf(name: ConfigField): FieldDescription & { readonly flag: string } {
  const field = configFields.find((one) => one.name === name);
  if (field?.flag === undefined) throw new InvariantError(`Field ${name}: expected a flag, got none.`);
  return { ...field, flag: field.flag };
}

/** Returns examples for the end of a command's help: what to type, and its effect. */
export function examples(...lines: readonly (readonly [command: string, effect: string])[]): string {
  const width = Math.max(...lines.map(([command]) => command.length));
  return `\nExamples:\n${lines.map(([command, effect]) => `  ${command.padEnd(width)}  ${effect}`).join('\n')}`;
}
