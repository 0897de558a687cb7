/** What several commands of the tree say in the same words. */

import { Option } from 'commander';
import { runConfigSchema } from '../../shared/config/run-config.js';

/** Said by the launcher alone. */
export const launched = (): Option => new Option('--launched').hideHelp();

export const engines = runConfigSchema.shape.engine.unwrap().options.join(', ');

/** For the end of a command's help: what to type, and what it brings. */
export function examples(...lines: readonly (readonly [command: string, meaning: string])[]): string {
  const width = Math.max(...lines.map(([command]) => command.length));
  return `\nExamples:\n${lines.map(([command, meaning]) => `  ${command.padEnd(width)}  ${meaning}`).join('\n')}`;
}
