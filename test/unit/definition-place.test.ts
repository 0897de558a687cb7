import { createHash } from 'node:crypto';
import { chmod, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { verifiedCopy } from '../../src/api/definition-place.js';
import type { DefinitionRecord } from '../../src/shared/runs/definition-record.js';
import { temporaryFolder } from '../support/lockstep.js';

/** A run with a copy of two files, of which one is imported by the name of a link. */
const files: Readonly<Record<string, string>> = {
  'project/lockstep.config.ts': "import { classes } from './linked';\n",
  'common/classes.ts': 'export const classes = 3;\n',
};
const link = 'project/linked.ts';

let run = '';
let original = '';
let record: DefinitionRecord;
const copied = (name: string): string => join(run, 'definition', 'files', name);

beforeEach(async () => {
  [run, original] = [await temporaryFolder(), await temporaryFolder()];
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(copied(name)), { recursive: true });
    await writeFile(copied(name), text);
  }
  await symlink('../common/classes.ts', copied(link));
  await writeFile(join(run, 'definition', 'definition.json'), '');
  record = {
    format: 1,
    path: join(original, 'project', 'lockstep.config.ts'),
    workingFolder: original,
    sha256: createHash('sha256')
      .update(files['project/lockstep.config.ts'] ?? '')
      .digest('hex'),
    entry: 'project/lockstep.config.ts',
    root: original,
    files: Object.entries(files).map(([name, text]) => ({
      name,
      bytes: text.length,
      sha256: createHash('sha256').update(text).digest('hex'),
    })),
    links: [{ name: link, target: 'common/classes.ts' }],
    packages: [],
    incomplete: null,
    values: {},
    hasSource: false,
    functions: {},
  };
});

describe('a link in the copy of a definition', () => {
  it('is accepted if it leads to the file of the record', async () => {
    expect((await verifiedCopy({ run, record })).path).toBe(copied('project/lockstep.config.ts'));
  });

  it.each<[string, (elsewhere: string) => Promise<unknown>]>([
    ['leads to another file', (elsewhere) => symlink(elsewhere, copied(link))],
    ['leads to another file of the copy', () => symlink('lockstep.config.ts', copied(link))],
    ['is a file', () => writeFile(copied(link), 'export const classes = 4;\n')],
    ['is missing', () => Promise.resolve()],
  ])('is refused if it %s', async (_, replace) => {
    const elsewhere = join(original, 'other.ts');
    await writeFile(elsewhere, 'export const classes = 4;\n');
    await rm(copied(link));
    await replace(elsewhere);
    await expect(verifiedCopy({ run, record })).rejects.toThrow(
      /linked\.ts: expected the run's link to its file common\/classes\.ts, got (another|none)\. It is not executed\./,
    );
  });

  it('is refused if its target is no file of the record', async () => {
    const unlisted = { ...record, files: record.files.filter(({ name }) => name !== 'common/classes.ts') };
    await expect(verifiedCopy({ run, record: unlisted })).rejects.toThrow(
      /linked\.ts: expected .*got another/,
    );
  });
});

describe('a package that is found from the original alone', () => {
  it.each([
    ['for import only', { '.': { import: './index.mjs' } }],
    ['for every kind of import', './index.mjs'],
  ])('is loaded from there if it exports its file %s', async (_, exports) => {
    const folder = join(original, 'node_modules', 'pack');
    await mkdir(folder, { recursive: true });
    await mkdir(join(original, 'project'));
    await writeFile(record.path, '');
    await writeFile(join(folder, 'package.json'), JSON.stringify({ name: 'pack', exports }));
    await writeFile(join(folder, 'index.mjs'), 'export const offset = 5;\n');
    await chmod(join(folder, 'index.mjs'), 0o644);
    const { place } = await verifiedCopy({ run, record: { ...record, packages: ['pack', 'node-of-none'] } });
    expect(place.packages).toEqual({ pack: join(folder, 'index.mjs') });
  });
});
