import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { apiReference } from '../../scripts/api-reference.js';

const read = (name: string): Promise<string> => readFile(new URL(`../../${name}`, import.meta.url), 'utf8');
/** Text as it was before Prettier changed its spaces, the width of its tables and its marks of emphasis. */
const squeeze = (text: string): string => text.replaceAll(/[\s-]+/g, ' ').replaceAll(/[*_\\]/g, '');

describe('the API reference', () => {
  it('is up to date (npm run docs writes it)', async () => {
    expect(squeeze(await read('docs/api.md'))).toBe(squeeze(await apiReference()));
  });

  it('has a heading for every export of the package', async () => {
    const index = await read('src/index.ts');
    const names = [...index.matchAll(/export (?:type )?\{([^}]*)\}/g)].flatMap(([, list = '']) =>
      list
        .split(',')
        .map((name) => name.replace(/^\s*type\s/, '').trim())
        .filter((name) => name !== ''),
    );
    expect(names.length).toBeGreaterThan(60);
    const headings = [...(await read('docs/api.md')).matchAll(/^#+ (?:`\w+` )?(\w+)/gm)].map(
      ([, name]) => name,
    );
    expect(names.filter((name) => !headings.includes(name))).toEqual([]);
  });
});
