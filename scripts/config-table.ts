/**
 * The README's table of the configuration, from the schema. `npm run docs` writes it; a test compares.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { z } from 'zod';
import { runConfigSchema } from '../src/shared/config/run-config.js';

const [begin, end] = ['<!-- config table: npm run docs -->', '<!-- end of config table -->'];

export function configTable(): string {
  const defaults: Record<string, unknown> = runConfigSchema.parse({});
  const rows = Object.entries(runConfigSchema.shape as Record<string, z.ZodType>).map(([name, field]) => {
    const value = defaults[name];
    const shown = value === null ? '–' : JSON.stringify(value).replaceAll(/^"|"$/g, '');
    return `| \`${name}\` | \`${shown}\` | ${field.description ?? ''} |`;
  });
  return ['| field | default | |', '| --- | --- | --- |', ...rows].join('\n').replaceAll('`–`', '–');
}

/** `readme` with the table between its marks. */
export function withConfigTable(readme: string): string {
  const [before, rest] = readme.split(begin);
  const after = rest?.split(end)[1];
  if (before === undefined || after === undefined)
    throw new Error(`README.md: expected the marks ${begin} and ${end}.`);
  return `${before}${begin}\n\n${configTable()}\n\n${end}${after}`;
}

const [, program] = process.argv;
if (program === fileURLToPath(import.meta.url)) {
  const file = fileURLToPath(new URL('../README.md', import.meta.url));
  writeFileSync(file, withConfigTable(readFileSync(file, 'utf8')));
}
