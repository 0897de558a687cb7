import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { withConfigTable } from '../../scripts/config-table.js';
import { errorCodes } from '../../src/shared/errors.js';

const read = (name: string): string => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');

describe('the documentation', () => {
  it('lists every field of the configuration with its default (npm run docs writes it)', () => {
    const readme = read('README.md');
    const squeeze = (text: string): string => text.replaceAll(/[ -]+/g, ' ');
    expect(squeeze(readme)).toBe(squeeze(withConfigTable(readme)));
  });

  it.each(errorCodes)('explains the error %s', (code) => {
    expect(read('docs/errors.md')).toMatch(new RegExp(`^## .*\`${code}\``, 'm'));
  });
});
