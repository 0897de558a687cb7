import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { commandReference } from '../../scripts/command-reference.js';
import { configurationPage } from '../../scripts/config-table.js';
import { configTypes } from '../../scripts/config-types.js';
import { layersPage } from '../../scripts/layer-table.js';
import { errorCodes } from '../../src/shared/errors.js';

const read = (name: string): string => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');

const root = new URL('../../', import.meta.url);
const docs = readdirSync(new URL('docs/', root)).filter((name) => name.endsWith('.md'));
/** Tables as they were before Prettier widened their columns. */
const squeeze = (text: string): string => text.replaceAll(/[ -]+/g, ' ');

/** Returns a heading's anchor by GitHub's rules. */
const anchor = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\w\s-]/g, '')
    .trim()
    .replaceAll(' ', '-');

describe('the documentation', () => {
  it('has an up-to-date page of all configuration fields (npm run docs writes it)', () => {
    expect(squeeze(read('docs/configuration.md'))).toBe(squeeze(configurationPage()));
  });

  it('has up-to-date hover texts of all configuration fields (npm run docs writes them)', () => {
    const written = (text: string): string => text.replaceAll(/\s+/g, ' ');
    expect(written(read('src/api/config-input.ts'))).toBe(written(configTypes()));
  });

  it('has an up-to-date page of all commands and options (npm run docs writes it)', () => {
    expect(squeeze(read('docs/commands.md'))).toBe(squeeze(commandReference()));
  });

  it('has an up-to-date page of all layers and refusals (npm run docs writes it)', () => {
    expect(squeeze(read('docs/layers.md'))).toBe(squeeze(layersPage()));
  });

  it('lists every page in its index, once', () => {
    const listed = [...read('docs/README.md').matchAll(/^- \[[^\]]+\]\(([\w-]+\.md)\)/gm)].map(
      ([, page]) => page,
    );
    expect(listed.sort()).toEqual(docs.filter((name) => name !== 'README.md').sort());
  });

  it.each(['README.md', 'CONTRIBUTING.md', ...docs.map((name) => `docs/${name}`)])(
    '%s links to files and headings that are there',
    (page) => {
      const text = read(page).replaceAll(/^```[^]*?^```/gm, '');
      const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link);
      for (const link of links.filter((target) => !/^https?:/.test(target))) {
        const [path = '', heading] = link.split('#');
        const file = join(dirname(page), path === '' ? page.slice(page.lastIndexOf('/') + 1) : path);
        expect(existsSync(new URL(file, root)), `${page}: ${link}`).toBe(true);
        if (heading === undefined) continue;
        const anchors = [...read(file).matchAll(/^#+ (.+)$/gm)].map(([, title = '']) => anchor(title));
        expect(anchors, `${page}: ${link}`).toContain(heading);
      }
    },
  );

  it.each(errorCodes)('explains the error %s', (code) => {
    expect(read('docs/errors.md')).toMatch(new RegExp(`^## .*\`${code}\``, 'm'));
  });
});
